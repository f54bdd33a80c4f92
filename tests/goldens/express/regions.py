"""Methods on edges, bodies and other regions of the map."""

from __future__ import annotations

from typing import Any

import torch
from bench.methods.bcd import BCD, decay, next_temperature, path_maxima
from bench.methods.fckd import condensation_matrix
from torch import Tensor

from bench.method import Batch, Method, Outputs, Step
from tests.goldens.case import IGNORE, Case, NotOffered, Terms, expresses


def renamed(params: dict[str, Any], names: dict[str, str], *facts: str) -> dict[str, Any]:
    """Return options under our names; a parameter that has none, and is no fact of the case, is an error."""
    return {names[key]: value for key, value in params.items() if key not in facts}


def summed(terms: Terms) -> Tensor:
    return torch.stack(list(terms.values())).sum()


@expresses("bpkd")
def bpkd(case: Case) -> tuple[Tensor, Terms]:
    student, teacher = Outputs(case["logits_s"]), Outputs(case["logits_t"])
    same = ("alpha", "tau_edge", "tau_body", "edge_kernel", "edge_norm", "pre_mask", "post_mask", "ignore_edges")
    names = {name: name for name in same} | {"lambda_edge": "edge_weight", "lambda_body": "body_weight"}
    options = renamed(case.params, names, "ignore_label")
    batch = case.batch(student, case["labels"])
    batch.ignore_index = case.params.get("ignore_label", IGNORE)

    def run(weights: dict[str, float]) -> Terms:
        return case.method("bpkd", student, teacher, options | weights)(student, teacher, batch, case.step())

    plain = run({"edge_weight": 1.0, "body_weight": 1.0})
    return summed(run({})), {"edge": plain["bpkd_edge"], "body": plain["bpkd_body"]}


@expresses("fckdnet")
def fckdnet(case: Case) -> tuple[Tensor, Terms]:
    student, teacher = Outputs(case["student"]), Outputs(case["teacher"])
    names = {
        "tau": "tau",
        "tau_att": "tau_attention",
        "w_spatial": "spatial_weight",
        "w_channel": "channel_weight",
        "condense": "condense",
    }
    options = renamed(case.params, names)

    def run(weights: dict[str, float]) -> Terms:
        return case.terms(case.method("fckd", student, teacher, options | weights), student, teacher)

    plain = run({"spatial_weight": 1.0, "channel_weight": 1.0})
    kept = condensation_matrix(teacher.logits, options.get("condense", "hard")).mean()
    return summed(run({})), {"spatial": plain["fckd_spatial"], "channel": plain["fckd_channel"], "kept": kept}


@expresses("bcd")
def bcd(case: Case) -> tuple[Tensor, Terms]:
    kind = case.params.get("kind")
    if kind == "fit" or case.params.get("mode", "affinity") == "conv":
        raise NotOffered(
            "the learned boundary head needs a teacher's head that is fitted before distillation; "
            "the parameter-free affinity is what we offer"
        )
    if kind in ("pairs", "schedule"):
        return {"pairs": bcd_pairs, "schedule": bcd_schedule}[kind](case)
    return bcd_stages(case)


def bcd_pairs(case: Case) -> tuple[Tensor, Terms]:
    """The path maxima of given boundary strengths."""
    maxima = path_maxima(case["strength"], case.params.get("radius", 5))
    _, pairs, anchors = maxima.shape
    counts = {"pairs": torch.tensor(pairs), "anchors": torch.tensor(anchors)}
    return maxima.square().mean(), counts | {"affinity_sum": (1 - maxima).sum()}


def bcd_schedule(case: Case) -> tuple[Tensor, Terms]:
    """The temperature over the ranges of some batches, and the decay over epochs."""
    temperatures = [torch.ones((), dtype=case.dtype)]
    for spread in case.params["ranges"]:
        temperatures.append(next_temperature(temperatures[-1], torch.tensor(spread, dtype=case.dtype)))
    epochs = case.params["max_epochs"]
    r = torch.tensor([decay(Step(epoch, epochs, torch.zeros(()))) for epoch in range(epochs)], dtype=case.dtype)
    terms = {"t_last": temperatures[-1], "t_sum": torch.stack(temperatures[1:]).sum(), "r_first": r[0], "r_last": r[-1]}
    return r.sum(), terms


def bcd_stages(case: Case) -> tuple[Tensor, Terms]:
    """The whole method on given stages and adapters."""
    stages, others = case.numbered("student"), case.numbered("teacher")
    size = case.params["image_size"]
    logits = torch.zeros(len(stages[0]), 1, *stages[0].shape[-2:], dtype=case.dtype)
    student, teacher = Outputs(logits, stages=tuple(stages)), Outputs(logits, stages=tuple(others))
    same = ("stride", "radius", "kappa", "max_tokens", "decay")
    names = {name: name for name in same} | {
        "alpha": "boundary_weight",
        "beta": "context_weight",
        "t_boundary": "tau_boundary",
        "t_context": "tau_context",
    }
    options = renamed(case.params, names, "kind", "mode", "image_size", "epoch", "max_epochs")
    options["bias"] = "bias.0" in case
    method = case.method("bcd", student, teacher, options, size=size)
    assert isinstance(method, BCD)
    load_adapters(case, method)
    images = torch.zeros(len(logits), 3, *size, dtype=case.dtype)
    batch = Batch(images, torch.full((len(logits), *size), IGNORE), IGNORE)
    step = Step(case.params.get("epoch", 1) - 1, case.params.get("max_epochs", 1), torch.zeros(()))

    found = method.compare(student, teacher, batch)
    terms = {"teacher_range" if name == "range" else name: value for name, value in found.items()}
    terms["r"] = torch.tensor(1 - step.progress if options.get("decay", True) else 1.0, dtype=case.dtype)
    return summed(method(student, teacher, batch, step)), terms


def load_adapters(case: Case, method: Method) -> None:
    for name, parameter in method.named_parameters():
        _, index, kind = name.split(".")
        case.load(parameter, f"{kind}.{index}")
