"""Structured distillation and class prototypes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.method import Discriminator, Holistic, Method, Outputs
from tests.goldens.case import Case, NotOffered, Terms, expresses

PREPROCESS = {1: "batch_norm", 2: "tanh", 3: "range"}


@expresses("ifvd")
def ifvd(case: Case) -> tuple[Tensor, Terms]:
    student, teacher = (Outputs(case[name], case[name]) for name in ("student", "teacher"))
    options = {"weight": 1.0, "pixel_weight": 0.0, "holistic_weight": 0.0}
    label = case["label"]
    method = case.method(
        "ifvd", student, teacher, options, num_classes=case.params.get("num_classes", 19), size=label.shape[-2:]
    )
    return case.terms(method, student, teacher, label)["ifvd"], {}


def skd(case: Case, student: Outputs, teacher: Outputs, **options: Any) -> Method:
    off = {"pixel_weight": 0.0, "pair_weight": 0.0, "holistic_weight": 0.0}
    return case.method("skd", student, teacher, {**off, **options})


@expresses("skd_pi")
def skd_pi(case: Case) -> tuple[Tensor, Terms]:
    student, teacher = Outputs(case["student"]), Outputs(case["teacher"])
    # the official sum over the batch, divided by H W, is N times our mean
    method = skd(case, student, teacher, pixel_weight=float(len(case["student"])))
    return case.terms(method, student, teacher)["skd_pixel"], {}


@expresses("skd_pa")
def skd_pa(case: Case) -> tuple[Tensor, Terms]:
    student, teacher = (Outputs(case[name], case[name]) for name in ("student", "teacher"))
    pool = "cirkd" if case.variant == "skd_pa_cirkd" else "scale"
    method = skd(case, student, teacher, pair_weight=1.0, pair_pool=pool, pair_scale=case.params.get("scale", 0.5))
    return case.terms(method, student, teacher)["skd_pair"], {}


def load_discriminator(case: Case, network: Discriminator) -> None:
    if network.norm is not None:
        case.load(network.norm.weight, "D.bn.weight")
        case.load(network.norm.bias, "D.bn.bias")
    convs = [*network.convs, network.head]
    assert len(convs) == sum(name.startswith("D.conv") and name.endswith(".weight") for name in case.inputs)
    for index, conv in enumerate(convs, 1):
        case.load(conv.weight, f"D.conv{index}.weight")
        case.load(conv.bias, f"D.conv{index}.bias")
        if conv is not network.head:
            conv.u = case[f"D.conv{index}.u"].detach()
    for index, attention in enumerate(network.attentions, 1):
        for part in ("query", "key", "value"):
            for kind in ("weight", "bias"):
                case.load(getattr(getattr(attention, part), kind), f"D.attn{index}.{part}.{kind}")
        case.load(attention.gamma, f"D.attn{index}.gamma")


@expresses("skd_ho")
def skd_ho(case: Case) -> tuple[Tensor, Terms]:
    student, teacher = Outputs(case["student"]), Outputs(case.inputs.get("teacher", case["student"]))
    options = {
        "holistic_weight": 1.0,
        "discriminator_weight": 1.0,
        "penalty_weight": case.params.get("lambda_gp", 10.0),
        "adversarial_loss": case.params.get("adv", "wgan-gp"),
        "conditional": case.variant == "skd_ho_g_cvpr19",
        "preprocess": PREPROCESS[case.params.get("preprocess", 1)],
    }
    if case.variant.startswith("skd_ho_d_"):  # the codes after SKD's show the discriminator the student first
        holistic = case.method("ifvd", with_embedding(student), with_embedding(teacher), ifvd_options(options)).holistic
    elif case.variant.startswith(("skd_ho_d", "skd_ho_g")):
        holistic = skd(case, student, teacher, **options).holistic
    else:
        raise NotOffered(f"skd has no variant '{case.variant}'")
    assert isinstance(holistic, Holistic)
    holistic.loss, holistic.penalty_weight = options["adversarial_loss"], options["penalty_weight"]
    load_discriminator(case, holistic.discriminator)
    batch = case.batch(student, images=case.inputs.get("image"))
    if case.variant.startswith("skd_ho_g"):
        loss = holistic.student_term(student, batch)
        return loss, {"d_out_mean": -loss}
    if "alpha" in case:
        holistic.draw = lambda maps: case["alpha"].detach()  # type: ignore[method-assign]
    terms = holistic.discriminator_terms(student, teacher, batch, case.step())
    loss = torch.stack(list(terms.values())).sum()
    named = {"adv": terms[f"{holistic.method}_discriminator"]}
    if f"{holistic.method}_penalty" in terms:
        named["gp_weighted"] = terms[f"{holistic.method}_penalty"]
    return loss, named


def with_embedding(outputs: Outputs) -> Outputs:
    return Outputs(outputs.logits, outputs.logits)


def ifvd_options(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("holistic_weight", "discriminator_weight")}
