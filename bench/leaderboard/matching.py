"""Which arm of one run goes with which of another, and names that tell rows apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.leaderboard.arms import Arm, Identity


@dataclass(frozen=True)
class Match:
    """An arm and its counterpart.

    Attributes:
        first: of the first run, None where it has none.
        second: of the second run, alike.
        differing: what keeps the two from being comparable: values of both by dotted path.
    """

    first: Arm | None
    second: Arm | None
    differing: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


def match(first: Sequence[Arm], second: Sequence[Arm]) -> list[Match]:
    """Pair the arms of two runs.

    Arms of one identity and equal conditions go together; what is left of an identity is paired by the fewest
    differing fields.

    Returns:
        Every arm of both runs once, in the order of the first, then those that only the second has.
    """
    rest = list(second)
    partners: dict[int, Match] = {}
    for place, arm in enumerate(first):
        twin = next((o for o in rest if (o.identity, o.conditions) == (arm.identity, arm.conditions)), None)
        if twin is not None:
            rest.remove(twin)
            partners[place] = Match(arm, twin)
    for place, arm in enumerate(first):
        alike = [other for other in rest if other.identity == arm.identity]
        if place in partners or not alike:
            continue
        nearest = min(alike, key=lambda other: len(arm.conditions.against(other.conditions)))
        rest.remove(nearest)
        partners[place] = Match(arm, nearest, arm.conditions.against(nearest.conditions))
    return [partners.get(place, Match(arm, None)) for place, arm in enumerate(first)] + [Match(None, o) for o in rest]


def names(identities: Sequence[Identity]) -> list[str]:
    """Return a name for each row: its label, with what tells it apart where others of its place share the label."""
    shown = []
    shared = Counter((identity.place, identity.label) for identity in set(identities))
    for identity in identities:
        name = identity.label
        if shared[(identity.place, name)] > 1:
            others = {o for o in identities if (o.place, o.label) == (identity.place, name) and o != identity}
            mine = identity.fields()
            apart = [p for p, value in mine.items() if any(o.fields().get(p) != value for o in others)]
            name += f" ({', '.join(f'{path}={mine[path]}' for path in apart) or 'defaults'})"
        shown.append(name)
    return shown
