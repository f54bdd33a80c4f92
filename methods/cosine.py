r"""Cosine feature distillation at three levels of the encoder.

N. Duncan, D. Dubinko, laboratory report of ELEC 475 (Lab 3), Queen's University, 11 November 2025; its response term,
here ``response``, is after Hinton et al., arXiv 1503.02531. Reconstruction: the report gives the formula, no code;
``response+cosine`` is its combined loss.

.. math:: L = w \frac{1}{|B|} \sum_{(k,l) \in B} \frac{1}{N H_l W_l} \sum_{n,m} (1 - \cos(A_k f^s_{knm}, f^t_{lnm}))

over the pairs B of a student's and a teacher's stage; A is a 1x1 convolution to the teacher's channels, whose result
is resized to the teacher's map, bilinear without aligned corners. Vectors run over the channels of one position.

Taps: stages, of any size and any number of channels; ``student_stages`` and ``teacher_stages`` say which, by index
from fine to coarse, negative ones from the end. Terms: ``cosine``. Trainable parts: the adapters, with bias. Ignored
pixels are distilled like all others.

Defaults: ``weight = 10`` is the report's. ``student_stages = [0, 1, -1]`` and ``teacher_stages = [0, 1, 2]``: it pairs
three levels of MobileNetV3-Small (24 channels at stride 4, 40 at stride 8, 576 at the end) with layers 1, 2 and 3 of a
dilated ResNet-50 (256, 512 and 1024 channels); which layers the teacher's are follows from the parameter count that
the report prints. Means depend on neither batch nor map size.

Reconstructed: the mean over levels, one cosine for each position, and resizing the student's map. As in torch's cosine
embedding loss 1e-12 is added to the squared norms, so that the cosine of an all-zero vector is 0.

Deviation: the adapters are no part of the student, so they are not in its parameter count, as they are in the report's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.method import (
    EVERY_TASK,
    Batch,
    Method,
    NonNegative,
    Outputs,
    OutputSpec,
    Pair,
    Step,
    TapSpec,
    Unsupported,
    methods,
    resize,
    tap_of,
    wide,
)

EPSILON = 1e-12


def cosine_distance(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Return the mean over positions of one minus the cosine of the channel vectors.

    Args:
        student_map: N x C x h x w, resized to the teacher's size.
        teacher_map: N x C x h' x w'; no gradient flows into it.

    Returns:
        Scalar in 0..2, float32 or wider.
    """
    teacher = wide(teacher_map.detach())
    student = resize(wide(student_map), teacher.shape[-2:])
    student_norm = (student.square().sum(1) + EPSILON).sqrt()
    teacher_norm = (teacher.square().sum(1) + EPSILON).sqrt()
    return 1 - ((student * teacher).sum(1) / (student_norm * teacher_norm)).mean()


@methods.register("cosine")
class Cosine(Method):
    """Cosine distance of encoder stages (reconstruction of a laboratory report)."""

    tasks = EVERY_TASK
    taps = ("stages",)

    def __init__(
        self,
        pair: Pair,
        *,
        weight: NonNegative = 10.0,
        student_stages: tuple[int, ...] = (0, 1, -1),
        teacher_stages: tuple[int, ...] = (0, 1, 2),
    ) -> None:
        super().__init__(pair)
        if not student_stages or len(student_stages) != len(teacher_stages):
            raise Unsupported(
                f"cosine compares stages pair by pair; student_stages has {len(student_stages)} and teacher_stages "
                f"{len(teacher_stages)}. Give both equally many, at least one"
            )
        students = _specs(pair.student, student_stages, "student")
        teachers = _specs(pair.teacher, teacher_stages, "teacher")
        self.weight = weight
        self.levels = list(zip(student_stages, teacher_stages, strict=True))
        self.adapters = nn.ModuleList(
            nn.Conv2d(student.channels, teacher.channels, 1)
            for student, teacher in zip(students, teachers, strict=True)
        )

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the term ``cosine``."""
        distances = [
            cosine_distance(
                adapter(wide(tap_of(student, "stages", student_stage))), tap_of(teacher, "stages", teacher_stage)
            )
            for (student_stage, teacher_stage), adapter in zip(self.levels, self.adapters, strict=True)
        ]
        return {"cosine": self.weight * torch.stack(distances).mean()}


def _specs(spec: OutputSpec, indices: tuple[int, ...], role: str) -> list[TapSpec]:
    count = len(spec.stages)
    for index in indices:
        if not -count <= index < count:
            raise Unsupported(
                f"cosine: {role}_stages names stage {index}, the {role} has {count}. Set student_stages and "
                "teacher_stages to stages that exist"
            )
    return [spec.stages[index] for index in indices]
