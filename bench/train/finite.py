"""Whether a training is still finite, noted without stalling the device."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Diverged(Exception):  # noqa: N818 - an outcome of training, not a fault
    """The loss or the weights are not finite.

    Args:
        iteration: the first iteration with a non-finite loss.
        terms: loss terms of that iteration by name.
    """

    def __init__(self, iteration: int, terms: dict[str, float]) -> None:
        self.iteration = iteration
        self.terms = terms
        shown = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
        super().__init__(f"not finite at iteration {iteration}: {shown or 'the weights'}")


class LossWatch:
    """Keeps the last loss terms and those of the first non-finite step, on the device: reading them would stall it.

    Args:
        device: the training device.
    """

    def __init__(self, device: torch.device) -> None:
        self._names: tuple[str, ...] = ()
        self._last: Tensor | None = None
        self._bad_at = torch.full((), -1, device=device)
        self._bad_terms: Tensor | None = None

    def note(self, iteration: int, terms: Mapping[str, Tensor], total: Tensor) -> None:
        """Note a step.

        Args:
            iteration: of the step.
            terms: scalars by name, without their graph.
            total: scalar that was descended.
        """
        self._names = tuple(terms)
        self._last = torch.stack([term.reshape(()) for term in terms.values()])
        first = ~(torch.isfinite(total) & torch.isfinite(self._last).all()) & (self._bad_at < 0)
        self._bad_at = torch.where(first, iteration, self._bad_at)
        if self._bad_terms is None or self._bad_terms.shape != self._last.shape:
            self._bad_terms = self._last
        self._bad_terms = torch.where(first, self._last, self._bad_terms)

    def read(self) -> dict[str, float]:
        """Return the last terms on the host; empty before the first step."""
        return {} if self._last is None else dict(zip(self._names, self._last.tolist(), strict=True))

    def require_finite(self) -> None:
        """Read what was noted.

        Raises:
            Diverged: a step was not finite.
        """
        bad_at = int(self._bad_at)
        if bad_at >= 0:
            values = self._bad_terms.tolist() if self._bad_terms is not None else []
            raise Diverged(bad_at, dict(zip(self._names, values, strict=True)))
