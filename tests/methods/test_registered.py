"""What must hold for every registered method."""

from __future__ import annotations

import pytest
import torch

from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec, Unsupported
from bench.options import defaults
from bench.registry import discover, methods

discover()
NAMES = [name for name in methods.names() if methods.get(name).builder.__module__.startswith("methods.")]
SPEC = OutputSpec(TapSpec(5, 4), TapSpec(8, 4), (TapSpec(6, 2), TapSpec(8, 4)))
PAIR = Pair(5, 255, SPEC, SPEC)


def outputs(seed: int, size: tuple[int, int] = (9, 7), batch: int = 2) -> Outputs:
    generator = torch.Generator().manual_seed(seed)

    def draw(channels: int, factor: int = 1) -> torch.Tensor:
        shape = (batch, channels, size[0] * factor, size[1] * factor)
        return torch.randn(shape, generator=generator).requires_grad_()

    return Outputs(draw(5), draw(8), (draw(6, 2), draw(8)))


def terms(name: str, student: Outputs, teacher: Outputs) -> dict[str, torch.Tensor]:
    target = torch.randint(0, 5, (student.logits.shape[0], 36, 28))
    method = methods.get(name).builder(PAIR, **defaults(methods.get(name).builder))
    batch = Batch(torch.zeros(student.logits.shape[0], 3, 36, 28), target, 255)
    return method(student, teacher, batch, Step(3, 10, torch.zeros(())))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("size", "batch"), [((9, 7), 2), ((1, 1), 1), ((13, 3), 1)])
def test_terms_are_finite_scalars_with_gradients_for_the_student_alone(name, size, batch):
    student, teacher = outputs(0, size, batch), outputs(1, size, batch)
    found = terms(name, student, teacher)
    assert all(term.shape == () and torch.isfinite(term) for term in found.values())
    if found:
        sum(found.values()).backward()
        assert student.logits.grad is not None
    assert all(tensor.grad is None for tensor in (teacher.logits, teacher.embedding, *teacher.stages))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
def test_a_student_equal_to_its_teacher_has_no_loss(name):
    same = outputs(0)
    assert sum(terms(name, same, same).values()).item() == pytest.approx(0, abs=1e-6)
    assert sum(terms(name, outputs(1), same).values()).item() > 1e-3


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_inputs_give_float32_terms(name, dtype):
    def low(outputs_: Outputs) -> Outputs:
        return Outputs((outputs_.logits * 30).to(dtype), outputs_.embedding.to(dtype))

    for term in terms(name, low(outputs(0)), low(outputs(1))).values():
        assert term.dtype == torch.float32
        assert torch.isfinite(term)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
def test_very_peaked_maps_stay_finite(name):
    student, teacher = outputs(0), outputs(1)
    peaked = Outputs(student.logits * 1e4, student.embedding)
    assert all(torch.isfinite(term) for term in terms(name, peaked, teacher).values())


@pytest.mark.parametrize("name", ["kd", "cwd"])
def test_maps_of_different_size_are_refused_with_both_strides(name):
    coarse = Pair(5, 255, OutputSpec(TapSpec(5, 8)), SPEC)
    with pytest.raises(Unsupported, match=r"8 \(student\) and 4 \(teacher\)"):
        methods.get(name).builder(coarse)


@pytest.mark.parametrize("name", NAMES)
def test_the_module_is_the_methods_card(name):
    import inspect

    builder = methods.get(name).builder
    assert inspect.getdoc(builder)
    card = inspect.getdoc(inspect.getmodule(builder)) or ""
    if name != "none":
        for word in ("arXiv", "Taps:", "Trainable parts:", "Defaults:"):
            assert word in card, f"the docstring of methods/{name}.py does not tell '{word}'"
