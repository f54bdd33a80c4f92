"""What must hold for every method of this repository, beside what the conformance suite asks of any method."""

from __future__ import annotations

import inspect

import pytest

from bench.base.errors import Unsupported
from bench.base.registry import discover
from bench.method.registry import methods
from bench.train.conformance.models import EQUAL, STRIDED
from bench.train.conformance.pytest_plugin import CheckMethod
from bench.train.conformance.robust import not_finite
from bench.train.conformance.scene import Situation
from bench.train.conformance.subject import Rehearsal, Subject

discover()
NAMES = [name for name in methods.names() if methods.get(name).builder.__module__.startswith("bench.methods.")]
OTHERS = [name for name in NAMES if name != "none"]


def subject(name: str, **options: object) -> Subject:
    entry = methods.get(name)
    found = Subject(entry, entry.options.resolve(options))
    found.accepted.append(EQUAL)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_method_conforms(check_method: CheckMethod, name: str) -> None:
    check_method(name)


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("name", OTHERS)
def test_maps_of_one_pixel_are_finite_or_refused(name: str, images: int) -> None:
    situation = Situation((4, 4), images)
    one = subject(name)
    try:
        method = one.build(size=situation.size)
    except Unsupported as verdict:
        pytest.skip(str(verdict))
    scene = one.scene(method, situation)
    assert list(not_finite(one.show(method, scene), scene, Rehearsal(method))) == []


NO_LOSS = {
    "at": ("at",),
    "bpkd": ("bpkd_edge", "bpkd_body"),
    "cwd": ("cwd",),
    "dist": ("dist_inter", "dist_intra"),
    "dkd": ("dkd_tckd", "dkd_nckd"),
    "dsd": ("dsd_pixel", "dsd_category"),
    "ifvd": ("ifvd", "ifvd_pixel"),
    "kd": ("kd",),
    "pkd": ("pkd",),
    "response": ("response",),
    "skd": ("skd_pair",),
}
"""Terms that compare without adapters and without the teacher's entropy."""


@pytest.mark.parametrize("name", NO_LOSS)
def test_a_student_equal_to_its_teacher_has_no_loss(name: str) -> None:
    one = subject(name)
    method = one.build()
    alike, apart = (one.show(method, one.scene(method, Situation(alike=alike))) for alike in (True, False))
    for term in NO_LOSS[name]:
        assert alike[term].item() == pytest.approx(0, abs=1e-6 * apart[term].item()), term
        assert apart[term].item() > 0


@pytest.mark.parametrize("name", ["kd", "cwd"])
def test_maps_of_different_size_are_refused_with_both_strides(name: str) -> None:
    with pytest.raises(Unsupported, match=r"4 \(student\) and 8 \(teacher\)"):
        subject(name).build(STRIDED)


@pytest.mark.parametrize("name", NAMES)
def test_the_module_is_the_methods_card(name: str) -> None:
    builder = methods.get(name).builder
    assert inspect.getdoc(builder)
    card = inspect.getdoc(inspect.getmodule(builder)) or ""
    if name != "none":
        for word in ("arXiv", "Taps:", "Trainable parts:", "Defaults:"):
            assert word in card, f"the docstring of methods/{name}.py does not tell '{word}'"
