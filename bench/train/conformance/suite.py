"""The checks in their order, and how one method goes through them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.train.conformance import declared, forward, robust, training
from bench.train.conformance.result import FAILED, PASSED, SKIPPED, Fault, NotApplicable, Result
from bench.train.conformance.subject import Subject


@dataclass(frozen=True)
class Check:
    """One property of a method.

    Attributes:
        name: as it stands in the table.
        run: returns what it found; raises ``Fault`` or ``NotApplicable``.
        needs: checks that must have passed, since this one would only fail for the same reason.
    """

    name: str
    run: Callable[[Subject], str]
    needs: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """One line that says what holds."""
        return (inspect.getdoc(self.run) or "").partition("\n")[0]


WORKS = ("terms",)
TRAINS = (*WORKS, "inputs", "trains")
REPEATS = (*TRAINS, "deterministic")

CHECKS = (
    Check("options", declared.options),
    Check("builds", declared.builds),
    Check("terms", forward.terms),
    Check("gradients", forward.reach, WORKS),
    Check("teacher", forward.teacher, WORKS),
    Check("inputs", forward.inputs, WORKS),
    Check("sizes", robust.sizes, WORKS),
    Check("labels", robust.labels, WORKS),
    Check("extremes", robust.extremes, WORKS),
    Check("precision", robust.precision, WORKS),
    Check("trains", training.trains, (*WORKS, "inputs")),
    Check("deterministic", training.deterministic, TRAINS),
    Check("state", training.state, REPEATS),
    Check("lockstep", training.lockstep, REPEATS),
    Check("no_grad", forward.grad_mode, REPEATS),
    Check("ignored", robust.ignored, REPEATS),
)


def check(subject: Subject) -> Iterator[Result]:
    """Yield the result of every check, in order; whatever an author's code raises is a failed check."""
    states: dict[str, str] = {}
    for one in CHECKS:
        if blocking := [need for need in one.needs if states.get(need) != PASSED]:
            state, details = SKIPPED, f"'{blocking[0]}' did not pass"
        else:
            state, details = _outcome(one, subject)
        states[one.name] = state
        yield Result(subject.name, one.name, state, details)


def _outcome(one: Check, subject: Subject) -> tuple[str, str]:
    try:
        return PASSED, one.run(subject)
    except NotApplicable as reason:
        return SKIPPED, str(reason)
    except Fault as fault:
        return FAILED, str(fault)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an author's code raises is a finding
        return FAILED, subject.tell(error)
