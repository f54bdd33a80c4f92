"""The table of models: parameters, multiply-accumulates, taps, and latency where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from rich.console import Console
from rich.table import Table

from bench.base.errors import BenchError, describe_error
from bench.base.registry import Entry, discover, students, teachers
from bench.cli.screen.console import literal
from bench.method import OutputSpec, TapSpec
from bench.models.base import build_model, count_parameters, output_spec
from bench.models.efficiency import count_flops, measure


@dataclass(frozen=True)
class Facts:
    """What a model is, at a number of classes and an input size.

    Attributes:
        params: parameters used at inference.
        params_training: all parameters, auxiliary heads and adapters included.
        macs: multiply-accumulates of one image, in evaluation mode.
        spec: channels and strides of the outputs.
    """

    params: int
    params_training: int
    macs: float
    spec: OutputSpec


def facts(name: str, num_classes: int, size: tuple[int, int]) -> Facts:
    """Return the facts of a model with its default options, without computing with it.

    Raises:
        BenchError: unknown, or it cannot be built.
    """
    model = build_model(name, num_classes, students.get(name).options.defaults(), device="meta")
    total = sum(parameter.numel() for parameter in model.parameters())
    return Facts(
        count_parameters(model), total, count_flops(model, size) / 2, cast("OutputSpec", output_spec(model, size))
    )


def print_models(
    names: Sequence[str], num_classes: int, size: tuple[int, int], device: torch.device | None, console: Console
) -> int:
    """Print a table of models.

    Args:
        names: which; all if empty.
        num_classes: number of classes K.
        size: input height and width.
        device: where latency is taken; None takes none.
        console: printed on.

    Returns:
        How many could not be built.

    Raises:
        BenchError: a name is unknown.
    """
    discover()
    entries = [students.get(name) for name in names] or [*teachers, *students]
    table = Table(title=f"models at {num_classes} classes, {size[0]} x {size[1]}", title_justify="left")
    for heading in ("name", "role", "params", "in training", "GMACs", "logits", "embedding", "stages"):
        numeric = heading in ("params", "in training", "GMACs")
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    if device is not None:
        table.add_column("latency", justify="right")
    problems = []
    for entry in entries:
        try:
            row = list(_row(entry, num_classes, size, device))
        except Exception as error:  # noqa: BLE001 - one that needs an absent library must not hide the others
            row = ["-"] * 6
            problems.append(f"{entry.name}: {error if isinstance(error, BenchError) else describe_error(error)}")
        role = "teacher" if entry.name in teachers.names() else "student"
        table.add_row(literal(entry.name), role, *(literal(cell) for cell in row))
    console.print(table)
    for problem in problems:
        console.print(problem, markup=False, highlight=False)
    families = ", ".join(entry.name for entry in (*students.families(), *teachers.families()))
    console.print(f"and whole families: {families}", markup=False, highlight=False)
    return len(problems)


def _row(entry: Entry, num_classes: int, size: tuple[int, int], device: torch.device | None) -> Iterator[str]:
    found = facts(entry.name, num_classes, size)
    yield f"{found.params:,}"
    yield f"{found.params_training:,}" if found.params_training != found.params else ""
    yield f"{found.macs / 1e9:.3f}"
    yield f"/{found.spec.logits.stride:.3g}"
    yield _tap(found.spec.embedding) if found.spec.embedding else "-"
    yield ", ".join(_tap(stage) for stage in found.spec.stages)
    if device is not None:
        model = build_model(entry.name, num_classes, entry.options.defaults())
        yield f"{measure(model, size, device)['latency_ms_p50']:.1f} ms"


def _tap(spec: TapSpec) -> str:
    return f"{spec.channels}/{spec.stride:.3g}"
