"""A plug-in with a task of its own: the depth of each pixel, in metres, with an error that is better when lower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision import tv_tensors

from bench.data.base import Data, DatasetInfo, TargetSamples, datasets
from bench.method import Batch, FeatureSpec, TaskOutputs, tap_spec
from bench.models.base import Model, students, teachers
from bench.tasks.base import Painter, Task, register_task
from bench.tasks.evaluators import MeansEvaluator
from bench.tasks.means import MEANS, Means
from bench.tasks.metric import Metric, Scoring, TaskSettings

FAR = 10.0


class Settings(TaskSettings):
    smooth: float = 1.0


@dataclass
class DepthOutputs(TaskOutputs):
    depth: Tensor
    stages: tuple[Tensor, ...] = ()
    model: nn.Module | None = None

    def spec(self, size: tuple[int, int]) -> FeatureSpec:
        return FeatureSpec(tuple(tap_spec(stage, size) for stage in self.stages))


class Grey(Painter):
    def prediction(self, predicted: np.ndarray) -> Image.Image:
        return Image.fromarray((255 * (np.asarray(predicted) / FAR).clip(0, 1)).astype(np.uint8)).convert("RGB")


@register_task
class Depth(Task):
    painter = Grey
    scoring = Scoring(
        "depth",
        (
            Metric("rmse", "RMSE", "Root mean squared error of the depth.", False, 100, scale=1, unit="m", digits=3),
            Metric("delta1", "delta 1", "Pixels whose depth is within a quarter of the true one.", importance=60),
        ),
        policy="over all pixels of the split whose depth is known",
        read=Means.load,
        evidence=MEANS,
        settings=Settings,
    )

    @classmethod
    def channels(cls, info: DatasetInfo) -> int:
        return 1

    def batch(self, images: Tensor, target: Tensor) -> Batch:
        return Batch(images, target, -1)

    def loss(self, outputs: DepthOutputs, batch: Batch) -> dict[str, Tensor]:
        predicted = F.interpolate(outputs.depth, batch.target.shape[-2:], mode="bilinear")[:, 0]
        known = batch.target > 0
        return {"depth": F.smooth_l1_loss(predicted[known], batch.target[known], beta=self.recipe.smooth)}

    def predict(self, forward: Any, images: Tensor, batch: Batch) -> Tensor:
        return F.interpolate(forward(images).depth, batch.target.shape[-2:], mode="bilinear")[:, 0]

    def evaluator(self) -> Errors:
        return Errors()


class Errors(MeansEvaluator):
    keys, powers = ("rmse", "delta1"), (0.5, 1.0)

    def sums(self, predictions: Tensor, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        target, known = batch.target, batch.target > 0
        within = (predictions / target < 1.25) & (target / predictions < 1.25) & known
        squares = (predictions - target).square() * known
        return [squares.sum((1, 2)), within.sum((1, 2))], [known.sum((1, 2))] * 2


class Balls(TargetSamples[tv_tensors.Mask]):
    def __init__(self, split: str, count: int) -> None:
        self.names = [f"{split}/{index}" for index in range(count)]
        self.offset = {"train": 0, "val": 1000}[split]

    def __getitem__(self, index: int):
        rng = np.random.RandomState(self.offset + index)
        ys, xs = np.mgrid[:24, :24]
        y, x, near = *rng.randint(6, 18, 2), rng.uniform(1, 4)
        depth = np.where((ys - y) ** 2 + (xs - x) ** 2 < 36, near, FAR - ys / 8).astype(np.float32)
        depth[0] = 0  # not known
        image = (255 / (1 + depth / 3))[None] * np.array([1, 0.8, 0.6])[:, None, None] + rng.normal(0, 3, (3, 24, 24))
        pixels = torch.from_numpy(image.clip(0, 255).astype(np.uint8))
        return tv_tensors.Image(pixels), tv_tensors.Mask(torch.from_numpy(depth))


@datasets.register("balls")
class BallData(Data):
    """Balls before a floor."""

    task = "depth"
    info = DatasetInfo((), (), (0.3,) * 3, (0.3,) * 3, "made here", splits=("train", "val"))

    def require(self, names) -> None: ...

    def check(self, splits) -> None: ...

    def split(self, name: str) -> Balls:
        return Balls(name, {"train": 24, "val": 6}[name])

    def fingerprint(self, names) -> str:
        return "balls"


class DepthNet(Model):
    task = "depth"

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.coarse = nn.Sequential(nn.Conv2d(width, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, images: Tensor) -> DepthOutputs:
        fine = self.fine(images)
        coarse = self.coarse(fine)
        return DepthOutputs(F.softplus(self.head(coarse)), (fine, coarse), self)


@students.register("depth_small")
def depth_small(num_classes: int, *, width: int = 4) -> DepthNet:
    """Two layers."""
    return DepthNet(width)


@teachers.register("depth_large")
def depth_large(num_classes: int) -> DepthNet:
    """Two wider layers."""
    return DepthNet(16)
