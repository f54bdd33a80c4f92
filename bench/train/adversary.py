"""An adversary while it trains: its own optimiser, schedule and state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from bench.method import Adversary, Batch, Outputs, Step


class Opponent:
    """Trains one adversary of a method, a step after each of the student's.

    Args:
        adversary: network, loss and optimiser.
        iterations: how many there will be.
    """

    def __init__(self, adversary: Adversary, iterations: int) -> None:
        self.adversary = adversary
        self.optimizer = adversary.optimizer(list(adversary.network.parameters()))
        self.schedule = LambdaLR(self.optimizer, lambda done: max(0.0, 1 - done / iterations) ** adversary.power)
        adversary.network.requires_grad_(False)

    def step(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Descend the adversary's own loss once.

        Args:
            student: outputs from before the student's step, without a graph.
            teacher: the teacher's.
            batch: images and target.
            step: where training stands.

        Returns:
            The loss terms, scalars by name, without a graph.
        """
        network = self.adversary.network.requires_grad_(True)
        terms = self.adversary.loss(student, teacher, batch, step)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(list(terms.values()))
        self.optimizer.step()
        self.schedule.step()
        network.requires_grad_(False)
        return {name: term.detach() for name, term in terms.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps beside the network, which is part of the method."""
        return {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
