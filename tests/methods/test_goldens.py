"""Values and gradients of the official implementations, in float64 and float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from methods.cwd import channelwise_kl
from methods.kd import pixelwise_kl
from tests.goldens.load_golden import compare, load, make_inputs

FOLDER = Path(__file__).parent.parent / "goldens"

# Variants of the files that the methods' own form and hyperparameters express.
KD = {"kd_cirkd", "kd_mdistiller"}
CWD = {"cwd_mmrazor", "cwd_torchdistiller", "cwd_cirkd"}


def expressible(case: dict) -> bool:
    params = case["params"]
    channel_kl = params.get("norm_type", "channel") == "channel" and params.get("divergence", "kl") == "kl"
    plain = all(spec["name"] in ("student", "teacher") for spec in case["inputs"])
    return case["variant"] in KD or (case["variant"] in CWD and channel_kl and plain)


CASES = [case for name in ("kd.json", "cwd.json") for case in load(FOLDER / name) if expressible(case)]


def compute(case: dict, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    arrays = {name: torch.from_numpy(array).to(dtype) for name, array in make_inputs(case).items()}
    student, teacher = arrays["student"].requires_grad_(), arrays["teacher"].requires_grad_()
    params = case["params"]
    tau, weight = params.get("temperature", params.get("tau")), params.get("loss_weight", 1.0)
    loss = weight * (pixelwise_kl if case["variant"] in KD else channelwise_kl)(student, teacher, tau)
    loss.backward()
    assert teacher.grad is None, "the teacher is detached"
    return loss.detach(), student.grad


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_float64_reproduces_loss_and_gradient(case):
    loss, grad = compute(case, torch.float64)
    assert not compare(case, loss, grads={"student": grad.numpy()})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_float32_is_within_1e_4(case):
    loss, grad = compute(case, torch.float32)
    assert not compare(case, loss, grads={"student": grad.numpy()}, rtol=1e-4)


def test_every_file_has_cases():
    assert {case["id"].split("-")[0] for case in CASES} == {"kd", "cwd"}
    assert len(CASES) >= 9
