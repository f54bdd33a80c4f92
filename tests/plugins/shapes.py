"""A plug-in as a user would write one: coloured shapes, made in memory, and models that learn them in seconds."""

import numpy as np
import torch
from torch import nn
from torchvision import tv_tensors

from bench.data.base import Samples, SegmentationData, datasets
from bench.data.facts import DatasetInfo
from bench.method import Outputs
from bench.models.base import SegmentationModel, students, teachers

IGNORE = 255
COLOURS = ((40, 40, 40), (220, 60, 60), (60, 200, 80), (70, 90, 230))


def draw(seed: int, size: int, with_squares: bool) -> tuple[np.ndarray, np.ndarray]:
    """A disc, and a square where wanted, on noise, with a border of one ignored pixel."""
    rng = np.random.RandomState(seed)
    label = np.zeros((size, size), np.uint8)
    ys, xs = np.mgrid[:size, :size]
    for shape in (1, 2) if with_squares else (1,):
        y, x = rng.randint(6, size - 6, 2)
        radius = rng.randint(4, 9)
        inside = (
            (ys - y) ** 2 + (xs - x) ** 2 < radius**2 if shape == 1 else np.maximum(abs(ys - y), abs(xs - x)) < radius
        )
        label[inside] = shape
    image = np.array(COLOURS, np.float32)[label] + rng.normal(0, 25, (size, size, 3))
    label[[0, -1]] = IGNORE
    label[:, [0, -1]] = IGNORE
    return image.clip(0, 255).astype(np.uint8), label


class ShapeSamples(Samples):
    def __init__(self, split: str, count: int, size: int) -> None:
        self.names = [f"{split}/{index}" for index in range(count)]
        self.offset = {"train": 0, "val": 10_000}[split]
        # the last class never appears in the evaluation split: its IoU must be left out, not counted as 0
        self.with_squares, self.size = split == "train", size

    def __getitem__(self, index: int):
        image, label = draw(self.offset + index, self.size, self.with_squares)
        return tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1)), tv_tensors.Mask(torch.from_numpy(label))


@datasets.register("shapes")
class Shapes(SegmentationData):
    """Discs and squares."""

    info = DatasetInfo(
        class_names=("ground", "disc", "square"),
        palette=COLOURS[:3],
        mean=(0.2, 0.2, 0.2),
        std=(0.2, 0.2, 0.2),
        source="made here",
        splits=("train", "val"),
    )

    def __init__(self, locations, *, n_train: int = 32, n_val: int = 8, size: int = 32) -> None:
        super().__init__(locations)
        self.counts, self.size = {"train": n_train, "val": n_val}, size

    def require(self, names) -> None:
        pass

    def split(self, name: str) -> Samples:
        return ShapeSamples(name, self.counts[name], self.size)

    def fingerprint(self, names) -> str:
        return f"shapes-{self.counts}-{self.size}"

    def check(self, splits) -> None:
        pass


class Net(SegmentationModel):
    def __init__(self, num_classes: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout2d(dropout))
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, images: torch.Tensor) -> Outputs:
        feature = self.body(images)
        return Outputs(self.head(feature), feature, (feature,), model=self)


@students.register("net_small")
def net_small(num_classes: int, *, width: int = 4, dropout: float = 0.2) -> Net:
    """Two layers."""
    return Net(num_classes, width, dropout)


@teachers.register("net_large")
def net_large(num_classes: int, *, width: int = 16) -> Net:
    """Two wider layers."""
    return Net(num_classes, width)


@students.register("net_stride4")
def net_stride4(num_classes: int) -> Net:
    """A stride that the teacher does not have."""
    net = Net(num_classes, 4)
    net.body[0].stride = (4, 4)
    return net


@teachers.register("net_five")
def net_five(num_classes: int) -> Net:
    """Gives five classes whatever is asked."""
    return Net(5, 4)
