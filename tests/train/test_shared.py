"""What the members of a group see of their teacher."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.method import Outputs
from bench.train.batches import Views
from bench.train.shared import FrozenTeacher


class Teacher(nn.Module):
    mean = std = (0.5, 0.5, 0.5)
    bgr = False

    def __init__(self) -> None:
        super().__init__()
        self.stage, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)
        self.computed: torch.dtype | None = None

    def forward(self, images: Tensor) -> Outputs:
        stage = self.stage(images)
        self.computed = stage.dtype
        return Outputs(stages=(stage,), model=self, logits=self.head(stage), embedding=stage)


def outputs_of(teacher: Teacher, taps: frozenset[str], precision: str) -> Outputs:
    setting: Any = SimpleNamespace(info=None)
    model: Any = teacher
    views = Views(torch.rand(2, 3, 8, 8), setting, channels_last=False)
    outputs = FrozenTeacher(model, taps, torch.device("cpu"), precision).outputs(views)
    assert isinstance(outputs, Outputs)
    return outputs


@pytest.mark.parametrize(
    ("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16), ("16-mixed", torch.float16)]
)
def test_methods_see_float32_whatever_the_teacher_computes_in(precision: str, dtype: torch.dtype) -> None:
    teacher = Teacher()
    outputs = outputs_of(teacher, frozenset({"logits", "embedding", "stages"}), precision)
    assert teacher.computed == dtype
    assert len(outputs.tensors()) == 3
    assert {(value.dtype, value.requires_grad) for value in outputs.tensors()} == {(torch.float32, False)}


def test_what_nobody_taps_is_let_go_and_the_model_stays() -> None:
    teacher = Teacher()
    outputs = outputs_of(teacher, frozenset({"embedding"}), "32-true")
    assert (outputs.stages, outputs.model) == ((), teacher)
    assert outputs.embedding is not None
