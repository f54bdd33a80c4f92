"""Methods on class scores and channel-wise distributions."""

from __future__ import annotations

from torch import Tensor

from bench.method import Outputs
from tests.goldens.case import Case, NotOffered, Terms, expresses

KD_CONVENTIONS = {"kd_cirkd": "cirkd", "kd_mdistiller": "cirkd", "kd_ifvd": "ifvd", "kd_torchdistiller": "ifvd"}


@expresses("kd")
def kd(case: Case) -> tuple[Tensor, Terms]:
    student, teacher = Outputs(case["student"]), Outputs(case["teacher"])
    if case.variant == "kd_mmrazor":
        convention = f"mmrazor_{case.params.get('reduction', 'batchmean')}"
    elif case.variant in KD_CONVENTIONS:
        convention = KD_CONVENTIONS[case.variant]
    else:
        raise NotOffered(f"kd has no convention '{case.variant}'")
    options = {
        "convention": convention,
        "tau": case.params.get("temperature", case.params.get("tau", 1.0)),
        "weight": case.params.get("loss_weight", 1.0),
        "upsample": 8 if case.params.get("upsample") else 1,
    }
    terms = case.terms(case.method("kd", student, teacher, options), student, teacher)
    return terms["kd"], {}


@expresses("cwd")
def cwd(case: Case) -> tuple[Tensor, Terms]:
    if case.params.get("norm_type") == "none":
        raise NotOffered("norm none uses the first image of the batch only")
    if case.variant not in ("cwd_mmrazor", "cwd_torchdistiller", "cwd_cirkd", "cwd_mmsegdistiller"):
        raise NotOffered(f"cwd has no variant '{case.variant}'")
    student, teacher = (Outputs(case[name], case[name]) for name in ("student", "teacher"))
    adapted = "adapter.weight" in case
    cross_entropy = case.variant == "cwd_mmsegdistiller"
    options = {
        "tau": case.params.get("temperature", case.params.get("tau", 1.0)),
        "weight": case.params.get("loss_weight", 1.0),
        "tap": "embedding" if adapted else "logits",
        "adapter": "bias" if "adapter.bias" in case else "auto",
        "divergence": "cross_entropy" if cross_entropy else case.params.get("divergence", "kl"),
        "norm": case.params.get("norm_type", "channel"),
    }
    method = case.method("cwd", student, teacher, options)
    for name in ("weight", "bias"):
        if f"adapter.{name}" in case:
            case.load(getattr(method.adapter, name), f"adapter.{name}")
    return case.terms(method, student, teacher)["cwd"], {}
