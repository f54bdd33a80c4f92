"""Methods on features, and those that add labels or relations to class scores."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from bench.methods.cosine import cosine_distance
from torch import Tensor

from bench.method import Outputs
from tests.goldens.case import IGNORE, Case, NotOffered, Terms, expresses


def params_of(case: Case, **defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a case over the defaults of its variant, which names all that we can express."""
    if case.variant not in defaults:
        raise NotOffered(f"{case.record['method']} has no variant '{case.variant}'")
    known = defaults[case.variant]
    if unknown := sorted(set(case.params) - set(known)):
        raise NotOffered(f"no option of ours says {', '.join(unknown)}")
    return known | case.params


def as_map(tensor: Tensor) -> Tensor:
    """Return a table of rows as maps of one position each; maps as they are."""
    return tensor.reshape(*tensor.shape, *[1] * (4 - tensor.dim()))


def both(case: Case) -> tuple[Outputs, Outputs]:
    """Return outputs that give ``student`` and ``teacher`` as every tap."""
    student, teacher = (as_map(case[name]) for name in ("student", "teacher"))
    return Outputs(student, student, (student,)), Outputs(teacher, teacher, (teacher,))


def positions(outputs: Outputs) -> int:
    return outputs.logits[0, 0].numel()


def summed(terms: Terms) -> Tensor:
    return torch.stack(list(terms.values())).sum()


@expresses("fitnet")
def fitnet(case: Case) -> tuple[Tensor, Terms]:
    mmrazor = {"loss_weight": 1.0, "normalize": True, "mult": 1.0, "div_element": False, "dist": False}
    plain = mmrazor | {"normalize": False, "div_element": True}
    params = params_of(case, fitnet_cirkd=plain, fitnet_mmrazor_l2=mmrazor)
    reduction = "root" if params["dist"] else "mean" if params["div_element"] else "image"
    factor = abs(params["mult"]) ** (1 if params["dist"] else 2) if params["normalize"] else 1
    options = {
        "weight": params["loss_weight"] * factor,
        "adapter": "adapter.weight" in case,
        "normalize": params["normalize"],
        "reduction": reduction,
    }
    student, teacher = both(case)
    method = case.method("fitnet", student, teacher, options)
    if options["adapter"]:
        case.load(method.adapter.weight, "adapter.weight")
    return case.terms(method, student, teacher)["fitnet"], {}


@expresses("at")
def at(case: Case) -> tuple[Tensor, Terms]:
    known = {"loss_weight": 1.0}
    params = params_of(case, at_cirkd=known, at_mmrazor=known, at_original=known)
    student, teacher = both(case)
    options = {"weight": params["loss_weight"] / positions(student)}
    return case.terms(case.method("at", student, teacher, options), student, teacher)["at"], {}


@expresses("pkd")
def pkd(case: Case) -> tuple[Tensor, Terms]:
    params = params_of(case, pkd={"loss_weight": 1.0, "resize_stu": True})
    options = {"tap": "embedding", "resize_student": params["resize_stu"], "weight": params["loss_weight"]}
    if "student" in case:
        student, teacher = both(case)
    else:
        sides = (case.numbered(name) for name in ("student", "teacher"))
        student, teacher = (Outputs(maps[0], stages=tuple(maps)) for maps in sides)
        options["tap"] = "stages"
    return case.terms(case.method("pkd", student, teacher, options), student, teacher)["pkd"], {}


@expresses("dist")
def dist(case: Case) -> tuple[Tensor, Terms]:
    own = {"beta": 1.0, "gamma": 1.0, "tau": 1.0, "loss_weight": 1.0}
    mmrazor = {"inter_loss_weight": 1.0, "intra_loss_weight": 1.0, "tau": 1.0, "loss_weight": 1.0}
    params = params_of(case, dist=own, dist_mmrazor=mmrazor)
    student, teacher = both(case)
    if case.variant == "dist_mmrazor" and positions(student) > 1:
        raise NotOffered("on maps mmrazor correlates each pixel's class over the images of the batch")

    def run(weight: float, beta: float, gamma: float) -> Terms:
        options = {"beta": beta, "gamma": gamma, "tau": params["tau"], "weight": weight}
        return case.terms(case.method("dist", student, teacher, options), student, teacher)

    plain = run(params["tau"] ** -2, 1.0, 1.0)
    inter, intra = ("beta", "gamma") if case.variant == "dist" else ("inter_loss_weight", "intra_loss_weight")
    loss = summed(run(params["loss_weight"], params[inter], params[intra]))
    return loss, {"inter": plain["dist_inter"], "intra": plain["dist_intra"]}


@expresses("mgd")
def mgd(case: Case) -> tuple[Tensor, Terms]:
    own = {"alpha_mgd": 2e-5, "lambda_mgd": 0.75}
    params = params_of(case, mgd=own, mgd_mmrazor=own | {"lambda_mgd": 0.65, "mask_on_channel": False})
    student, teacher = both(case)
    options = {
        "weight": params["alpha_mgd"] * positions(student),
        "mask_ratio": params["lambda_mgd"],
        "mask_channels": params.get("mask_on_channel", False),
    }
    method = case.method("mgd", student, teacher, options)
    method.draw = lambda feature: case["mask_uniform"]
    parts = {"align": method.align, "gen.conv1": method.generation[0], "gen.conv2": method.generation[2]}
    for part, module in parts.items():
        for name, parameter in module.named_parameters():
            case.load(parameter, f"{part}.{name}")
    return case.terms(method, student, teacher)["mgd"], {}


@expresses("dkd")
def dkd(case: Case) -> tuple[Tensor, Terms]:
    own = {"alpha": 1.0, "beta": 8.0, "temperature": 4.0, "loss_weight": 1.0}
    mmrazor = {"alpha": 1.0, "beta": 1.0, "tau": 1.0, "reduction": "batchmean", "loss_weight": 1.0}
    params = params_of(case, dkd=own, dkd_mmrazor=mmrazor)
    student, teacher = both(case)
    target = case["label"][:, None, None] if case["label"].dim() == 1 else case["label"]
    options = {
        "tau": params.get("tau", params.get("temperature")),
        "reduction": "mean" if params.get("reduction", "batchmean") == "batchmean" else "sum",
        "warmup": 0.0,
    }

    def run(**weights: float) -> Terms:
        return case.terms(case.method("dkd", student, teacher, options | weights), student, teacher, target)

    plain = run(alpha=1.0, beta=1.0)
    loss = summed(run(alpha=params["alpha"], beta=params["beta"], weight=params["loss_weight"]))
    return loss, {"tckd": plain["dkd_tckd"], "nckd": plain["dkd_nckd"]}


@expresses("dsd")
def dsd(case: Case) -> tuple[Tensor, Terms]:
    params = params_of(case, dsd={"lambda_psd": 1000.0, "lambda_csd": 10.0})
    sides = [case.numbered(name) for name in ("student", "teacher")]
    if len(sides[0]) == 1:
        raise NotOffered("one map has no pair for the pixel similarity")
    student, teacher = (Outputs(maps[-1], maps[-2], tuple(maps[:-2])) for maps in sides)
    height, width = student.logits.shape[-2:]
    pooled = -(-height // 2) * -(-width // 2)

    def run(psd: float, csd: float) -> Terms:
        options = {
            "stages": len(student.stages),
            "pixel_weight": psd / positions(student),
            "category_weight": csd / pooled**2,
        }
        return case.terms(case.method("dsd", student, teacher, options), student, teacher)

    plain = run(1.0, 1.0)
    loss = summed(run(params["lambda_psd"], params["lambda_csd"]))
    return loss, {"psd": plain["dsd_pixel"], "csd": plain["dsd_category"]}


@expresses("lab_combined")
def lab_combined(case: Case) -> tuple[Tensor, Terms]:
    params = params_of(case, **{case.variant: {"alpha": 0.9, "beta": 10.0, "tau": 4.0}})
    target = case["labels"]
    student, teacher = (
        Outputs(case[role], stages=tuple(case.numbered(f"{role}_feat"))) for role in ("student", "teacher")
    )
    levels = list(range(len(student.stages)))

    def build(alpha: float, beta: float) -> Any:
        options = {
            "response": {"alpha": alpha, "tau": params["tau"]},
            "cosine": {"weight": beta, "student_stages": levels, "teacher_stages": levels},
        }
        method = case.method("response+cosine", student, teacher, options, size=tuple(target.shape[-2:]))
        for index, adapter in enumerate(method.parts[1].adapters):
            case.load(adapter.weight, f"weight.{index}")
            case.load(adapter.bias, f"bias.{index}")
        return method

    plain = build(1.0, 1.0)
    found = case.terms(plain, student, teacher, target)
    terms = {"ce": cross_entropy(student.logits, target), "kl": found["response"], "feature": found["cosine"]}
    for index, name in zip(levels, ("low", "mid", "high"), strict=False):
        adapted = plain.parts[1].adapters[index](student.stages[index])
        terms[name] = cosine_distance(adapted, teacher.stages[index])
    # built last: the gradients are asked for at the parameters that were loaded last
    method = build(params["alpha"], params["beta"])
    added = case.terms(method, student, teacher, target)
    return method.task_weight * terms["ce"] + summed(added), terms


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean over labelled pixels at label size, 0 where there are none."""
    upsampled = F.interpolate(logits, size=target.shape[-2:], mode="bilinear", align_corners=False)
    total = F.cross_entropy(upsampled, target, ignore_index=IGNORE, reduction="sum")
    return total / (target != IGNORE).sum().clamp(min=1)
