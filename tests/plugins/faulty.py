"""Methods and a teacher that go wrong on purpose, one that draws random numbers, one that needs no teacher."""

import torch
from torch import nn

from bench.method import Method, Outputs, Pair, methods
from bench.models.base import SegmentationModel, teachers


class TiredNet(SegmentationModel):
    """Trains like any other, then fails as a frozen teacher after some forwards, as one that runs out of memory."""

    def __init__(self, num_classes: int, forwards: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, num_classes, 3, 2, 1)
        self.left = forwards

    def forward(self, images: torch.Tensor) -> Outputs:
        if images.device.type != "meta" and images.requires_grad is False and not self.head.weight.requires_grad:
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("tired")
        return Outputs(self.head(images), images[..., ::2, ::2], model=self)


@teachers.register("net_tired")
def net_tired(num_classes: int, *, forwards: int = 3) -> TiredNet:
    """Fails in the fourth forward as a teacher."""
    return TiredNet(num_classes, forwards)


@methods.register("raises")
class Raises(Method):
    """Raises at a given iteration."""

    def __init__(self, pair: Pair, *, at: int = 5) -> None:
        super().__init__(pair)
        self.at = at

    def forward(self, student, teacher, batch, step):
        if step.iteration == self.at:
            raise RuntimeError("broken on purpose")
        return {"raises": 0.1 * student.logits.square().mean()}


@methods.register("explodes")
class Explodes(Method):
    """Gives a non-finite term at a given iteration."""

    def __init__(self, pair: Pair, *, at: int = 4) -> None:
        super().__init__(pair)
        self.at = at

    def forward(self, student, teacher, batch, step):
        factor = float("nan") if step.iteration == self.at else 1.0
        return {"explodes": factor * student.logits.square().mean()}


@methods.register("vandal")
class Vandal(Method):
    """Writes into what all share."""

    taps = ("logits", "embedding")

    def __init__(self, pair: Pair, *, what: str = "logits", raises: bool = False) -> None:
        super().__init__(pair)
        self.what, self.raises = what, raises

    def forward(self, student, teacher, batch, step):
        if step.iteration == 3:
            shared = {"images": batch.images, "target": batch.target, "embedding": teacher.embedding}
            shared.get(self.what, teacher.logits).zero_()
            if self.raises:
                raise RuntimeError("broken after the damage")
        return {"vandal": student.logits.square().mean()}


@methods.register("stateful")
class Stateful(Method):
    """An adapter, a buffer and a random draw: everything that resume must carry over."""

    taps = ("logits", "embedding")

    def __init__(self, pair: Pair, *, weight: float = 1.0) -> None:
        super().__init__(pair)
        self.adapter = nn.Conv2d(pair.student.embedding.channels, pair.teacher.embedding.channels, 1)
        self.register_buffer("seen", torch.zeros(()))
        self.weight = weight

    def forward(self, student, teacher, batch, step):
        self.seen += 1
        noise = torch.rand((), device=student.logits.device)
        difference = self.adapter(student.embedding) - teacher.embedding
        return {"feature": self.weight * (1 + noise) / self.seen * difference.square().mean()}


@methods.register("alone")
class Alone(Method):
    """A regulariser that looks at no teacher: it is given the student's own outputs without their graph."""

    taps = ()
    needs_teacher = False

    def forward(self, student, teacher, batch, step):
        assert torch.equal(student.logits, teacher.logits)
        assert not teacher.logits.requires_grad
        return {"alone": student.logits.square().mean()}
