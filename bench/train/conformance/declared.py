"""Checks of what a method declares: its options, its card, the pairs that it takes."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import ValidationError

from bench.base.errors import Unsupported
from bench.base.options import sentences
from bench.base.registry import Entry
from bench.train.conformance.models import KINDS, NUM_CLASSES, SIZE, STRIDES
from bench.train.conformance.result import Fault
from bench.train.conformance.subject import REFUSE, Subject


def options(subject: Subject) -> str:
    """Every default lies within its own bounds; class and module have a docstring."""
    problems = [problem for part in subject.parts for problem in (*_bad_defaults(part), *_undocumented(part))]
    if problems:
        raise Fault(*problems)
    return ""


def _bad_defaults(part: Entry[Any]) -> list[str]:
    given = part.options.defaults()
    try:
        part.options.resolve(given)
    except ValidationError as error:
        found = sentences(error, part.options.schema)
        return [
            f"the default of {part.name}'s '{path[0]}' breaks its own bounds: {sentence}"
            for path, sentence in found
            if path and path[0] in given  # an option without a default may well be missing here
        ]
    return []


def _undocumented(part: Entry[Any]) -> list[str]:
    problems = []
    if not (part.builder.__doc__ or "").strip():
        problems.append(f"{part.name} has no docstring: its first line is what 'bench list' shows")
    module = inspect.getmodule(part.builder)
    if not (module and (module.__doc__ or "").strip()):
        problems.append(
            f"the file of {part.name} has no docstring: name the paper, the equation, the source of every default and "
            "every deviation at its top"
        )
    return problems


def builds(subject: Subject) -> str:
    """It is built for a pair, or refuses it with ``Unsupported`` and a reason; at least one pair is accepted."""
    told, problems = [], []
    for kind in KINDS:
        try:
            subject.build(kind)
        except Unsupported as verdict:
            if not str(verdict).strip():
                problems.append(f"{kind.name}: Unsupported is raised without a reason: tell why and what to do")
            told.append(f"{kind.name} refused: {verdict}")
        except Fault as fault:
            problems.append(str(fault))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an author's code raises is a finding
            problems.append(f"{kind.name}: {subject.tell(error)}. {REFUSE}")
        else:
            subject.accepted.append(kind)
            told.append(f"{kind.name}: built")
    if not subject.accepted and not problems:
        problems.append(
            f"no pair is accepted: {'; '.join(told)}. They have {NUM_CLASSES} classes, images of {SIZE[0]} x {SIZE[1]} "
            f"and stages, the student's at strides {', '.join(str(one) for one in STRIDES)}: give hyperparameters that "
            "fit with --set option=value"
        )
    if problems:
        raise Fault(*problems)
    return "; ".join(told)
