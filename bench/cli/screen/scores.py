"""What ``evaluate`` prints."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.base.text import one_line
from bench.cli.screen.console import literal
from bench.store.folders import Record


def print_evaluation(record: Record, console: Console) -> None:
    """Print the scores, those of every class, and how they were taken."""
    metrics, dataset = record["metrics"], record["dataset"]
    heading = f"{record['model']['name']} on {dataset['name']} {dataset['split']} ({dataset['n_images']} images)"
    total = Table("mIoU %", "mAcc %", "pixel accuracy %", title=literal(heading), title_justify="left")
    total.add_row(*(_percent(metrics[name]) for name in ("miou", "macc", "pixel_accuracy")))
    console.print(total)
    classes = Table("class", "IoU %", "accuracy %")
    for name in metrics["iou"]:
        classes.add_row(literal(one_line(name)), _percent(metrics["iou"][name]), _percent(metrics["acc"][name]))
    console.print(classes)
    for name, text in _facts(record):
        console.print(f"{name}: {text}", markup=False, highlight=False, soft_wrap=True)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _facts(record: Record) -> list[tuple[str, str]]:
    protocol, weights, model = record["protocol"], record["weights"], record["model"]
    mean, std = (", ".join(f"{value:.4f}" for value in protocol[name]) for name in ("mean", "std"))
    told = ", ".join(f"{key}={value}" for key, value in model["options"].items()) or "none"
    classes = len(record["metrics"]["iou"])
    left_out = model["output_channels"] - classes
    channels = f"{model['output_channels']}" + (f", of which the first {classes} are scored" if left_out else "")
    label, size = ("x".join(map(str, protocol[name])) for name in ("label_size", "input_size"))
    resized = "whole images" if size == label else f"images resized to {size}"
    return [
        ("weights", f"{weights['file']}"),
        ("sha256", weights["sha256"]),
        ("origin", weights["origin"]),
        ("model options", told),
        ("output channels", channels),
        ("normalisation", f"of {protocol['normalization_of']}: {protocol['channels']}, RGB mean {mean}, RGB std {std}"),
        ("size", f"{resized}, scored at {label}; logits bilinear, align_corners={protocol['align_corners']}"),
        ("classes", protocol["absent_classes"]),
    ]
