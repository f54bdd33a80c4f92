"""Whether what the members of a group share stayed as it was, whichever way somebody wrote to it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.train.shared import FrozenTeacher, Shared
from bench.train.trainee import Trainee


class Tainted(Exception):  # noqa: N818 - noticed in time, which is no fault
    """A member changed what all share, in a way that does not tell which one it was.

    Args:
        members: those who may have trained on it, or failed because of it, since all was whole.
    """

    def __init__(self, members: Sequence[Trainee]) -> None:
        self.members = tuple(members)
        super().__init__("what the members of a group share was changed")


class Integrity:
    """Watches over the batch, the teacher's outputs and the teacher.

    Writes that torch counts are seen after each member. Others are looked for once an iteration, without stalling the
    device, and read before anything is scored or written; then the group goes back to its checkpoints, and a closer
    watch looks after each member.

    Args:
        frozen: the teacher.
        members: of the group.
        device: the training device.
        closely: look after each member.
    """

    def __init__(
        self, frozen: FrozenTeacher, members: Sequence[Trainee], device: torch.device, *, closely: bool
    ) -> None:
        self._frozen, self._closely = frozen, closely
        self._trusted = list(members)
        self._differs = torch.zeros((), dtype=torch.bool, device=device)
        if closely:
            frozen.keep_pristine()

    def changed(self, shared: Shared) -> str:
        """Return what a member changed just now, which is nothing as a rule; a changed teacher is put right."""
        if shared.is_written() or (self._closely and bool(shared.differs())):
            return "the batch or the teacher's outputs in place"
        if self._closely and self._frozen.is_changed():
            self._frozen.restore()
            return "the teacher"
        return ""

    def require_steady_teacher(self) -> None:
        """Look after the teacher's own forward.

        Raises:
            RuntimeError: it changed itself.
        """
        if self._closely and self._frozen.is_changed():
            self._frozen.restore()  # or the next member would be blamed
            raise RuntimeError("the teacher changes while it is used, so that it is not the same for all")

    def note(self, shared: Shared) -> None:
        """Note after an iteration whether what was shared in it changed."""
        if not self._closely:
            self._differs |= shared.differs()

    def is_tainted(self) -> bool:
        """Tell whether something changed unnoticed since this was asked last; waits for the device."""
        if self._closely:
            return False
        found, self._differs = bool(self._differs), torch.zeros_like(self._differs)
        return found or self._frozen.is_changed()

    def require(self, alive: Sequence[Trainee]) -> None:
        """Look before anything is scored or written.

        Args:
            alive: who has trained on what was whole, if it was.

        Raises:
            Tainted: with those who have to go back to their checkpoints.
        """
        if self.is_tainted():
            raise Tainted(self._trusted)
        self._trusted = list(alive)
