"""Checks in real training: that it works, twice the same, the same from a checkpoint and beside others."""

from __future__ import annotations

from bench.train.conformance.lockstep import (
    companion_alone,
    same,
    train_alone,
    train_in_two_parts,
    train_with_companion,
)
from bench.train.conformance.result import Fault
from bench.train.conformance.subject import Subject


def trains(subject: Subject) -> str:
    """A few iterations of real training: it works, and the teacher stays as it was."""
    assert subject.training  # a fault of it is raised where it is made
    return ""


def deterministic(subject: Subject) -> str:
    """Two trainings from one seed are the same, bit for bit."""
    if difference := same(subject.training, train_alone(subject.spec, subject.kind)):
        raise Fault(
            f"two trainings from one seed differ: {difference}. Draw with torch, random or numpy.random's functions, "
            "which bench seeds, and keep no state outside the instance"
        )
    return ""


def state(subject: Subject) -> str:
    """Training that goes on from a checkpoint in a new instance ends as if it had not stopped."""
    if difference := same(subject.training, train_in_two_parts(subject.spec, subject.kind)):
        raise Fault(
            f"training from a checkpoint differs from training at once: {difference}. What forward changes must be a "
            "buffer (register_buffer) or a parameter: a plain attribute is not saved"
        )
    return ""


def lockstep(subject: Subject) -> str:
    """It trains alone as it does beside a companion, which it leaves alone."""
    together, companion = train_with_companion(subject.spec, subject.kind)
    if difference := same(subject.training, together):
        raise Fault(
            f"alone and beside another method it trains differently: {difference}. It must not depend on outputs "
            "that its taps leave out, nor on global state"
        )
    if difference := same(companion_alone(subject.kind), companion):
        raise Fault(
            f"the method that trains beside it is disturbed: {difference}. Leave global settings and what it is given "
            "as they are"
        )
    return ""
