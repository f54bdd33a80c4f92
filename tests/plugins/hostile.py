"""Methods that do what no method may: end the program, or change what their companions share without a trace."""

import torch
from torch import nn

from bench.base.errors import Interrupted
from bench.method import Method, Outputs, Pair, methods
from bench.models.base import SegmentationModel, teachers

LEAVING = {
    "exit": lambda: SystemExit(0),
    "interrupt": lambda: KeyboardInterrupt(),
    "generator": lambda: GeneratorExit(),
    "stop": lambda: Interrupted(2),
    "base": lambda: BaseException("of its own kind"),
}


class BrokenNet(SegmentationModel):
    """Raises in its third training step."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, num_classes, 3, 2, 1)
        self.seen = 0

    def forward(self, images: torch.Tensor) -> Outputs:
        if self.training and images.device.type != "meta":
            self.seen += 1
            if self.seen == 3:
                raise RuntimeError("broken as a student")
        return Outputs(self.head(images), images[..., ::2, ::2], model=self)


@teachers.register("net_broken")
def net_broken(num_classes: int) -> BrokenNet:
    """Cannot be trained."""
    return BrokenNet(num_classes)


@methods.register("leaves")
class Leaves(Method):
    """Raises what is no Exception, in its constructor or at an iteration."""

    def __init__(self, pair: Pair, *, how: str = "exit", at: int = 5) -> None:
        super().__init__(pair)
        self.how, self.at = how, at
        if at < 0:
            raise LEAVING[how]()

    def forward(self, student, teacher, batch, step):
        if step.iteration == self.at:
            raise LEAVING[self.how]()
        return {"leaves": 0.1 * student.logits.square().mean()}


@methods.register("sneak")
class Sneak(Method):
    """Changes something shared in a way that torch does not count."""

    taps = ("logits", "embedding")

    def __init__(self, pair: Pair, *, what: str = "images", at: int = 4, raises: bool = False) -> None:
        super().__init__(pair)
        self.what, self.at, self.raises = what, at, raises

    def forward(self, student, teacher, batch, step):
        if step.iteration == self.at:
            DAMAGES[self.what](teacher, batch)
            if self.raises:
                raise RuntimeError("broken after the damage")
        return {"sneak": student.logits.square().mean()}


def swap_images(teacher, batch):
    batch.images.numpy()[:] = batch.images.flip(0).numpy().copy()


def scale_weights(teacher, batch):
    for parameter in teacher.model.parameters():
        parameter.data.mul_(1.01)


def move_averages(teacher, batch):
    with torch.no_grad():
        teacher.model.train()(torch.ones(2, 3, 32, 32))
    teacher.model.eval()


def fill_target(value):
    def fill(teacher, batch):
        batch.target.numpy()[:] = value

    return fill


DAMAGES = {
    "images": swap_images,
    "target": fill_target(0),
    "no class": fill_target(77),  # the losses of all who come after it raise
    "not finite": lambda teacher, batch: teacher.logits.numpy().fill(float("nan")),
    "embedding": lambda teacher, batch: teacher.embedding.data.mul_(1.001),
    "weights": scale_weights,
    "mode": lambda teacher, batch: teacher.model.train(),
    "hook": lambda teacher, batch: teacher.model.register_forward_hook(lambda *_: None),
    "buffers": move_averages,
}


@methods.register("lacks_a_file")
class LacksAFile(Method):
    """Opens a file of its own that is not there."""

    def forward(self, student, teacher, batch, step):
        with open("/nowhere/prototypes.npy") as file:  # noqa: PTH123
            file.read()
        return {}


@methods.register("sets_modes")
class SetsModes(Method):
    """Leaves torch in other modes than it found."""

    def forward(self, student, teacher, batch, step):
        loss = student.logits.square().mean()
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(torch.get_num_threads() + 1)
        return {"sets_modes": loss}


class TableNet(SegmentationModel):
    """Makes a table for the size of its images at its first forward, and none later."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, num_classes, 3, 2, 1)
        self.register_buffer("table", torch.zeros(1), persistent=False)

    def forward(self, images: torch.Tensor) -> Outputs:
        if images.device.type != "meta" and self.table.shape != images.shape[-2:]:
            self.table = torch.linspace(-0.1, 0.1, images[0, 0].numel()).view(images.shape[-2:])
            self.register_buffer("more", torch.ones(2), persistent=False)
        return Outputs(self.head(images + self.table if self.table.dim() > 1 else images), images[..., ::2, ::2])


@teachers.register("net_table")
def net_table(num_classes: int) -> TableNet:
    """Makes a table at its first forward."""
    return TableNet(num_classes)


class RestlessNet(SegmentationModel):
    """Counts its forwards in a buffer on which its outputs depend."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, num_classes, 3, 2, 1)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, images: torch.Tensor) -> Outputs:
        if images.device.type != "meta":
            self.seen += 1
        return Outputs(self.head(images) + 0.01 * self.seen, images[..., ::2, ::2])


@teachers.register("net_restless")
def net_restless(num_classes: int) -> RestlessNet:
    """Is another one at each forward."""
    return RestlessNet(num_classes)
