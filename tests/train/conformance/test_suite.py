"""The conformance suite: every check catches its fault, and a method as an author would write it passes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.base.registry import REGISTRIES
from bench.method.registry import methods
from bench.train.conformance.pytest_plugin import CheckMethod
from bench.train.conformance.request import check_methods
from bench.train.conformance.result import FAILED, PASSED, SKIPPED, Result
from bench.train.conformance.suite import CHECKS
from tests.command import Command, command_line

ROOT = Path(__file__).resolve().parents[3]

HEADER = '''
"""Mean squared difference of the logits: a test's own."""

import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bench.method import Method, NonNegative, Pair, Unsupported, labels_at, methods, wide
from bench.method import require_same_size


def mse(student, teacher):
    return (wide(student) - wide(teacher.detach())).square().mean()

'''
BODY = 'return {"mine": self.weight * mse(student.logits, teacher.logits)}'


def source(
    body: str = BODY,
    init: str = "",
    attributes: str = "",
    options: str = "weight: NonNegative = 1.0",
    requires: str = 'require_same_size(pair, "logits", "mine")',
    docstring: str = '"""Mean squared difference of the logits."""',
    name: str = "mine",
    header: str = HEADER,
) -> str:
    """Return the text of a plug-in file with one method, with some of its parts exchanged."""
    code = f"""
@methods.register("{name}")
class Mine(Method):
    {docstring}

{indent(dedent(attributes), "    ")}
    def __init__(self, pair: Pair, *, {options}) -> None:
        super().__init__(pair)
        {requires}
        self.weight = weight
{indent(dedent(init), " " * 8)}

    def forward(self, student, teacher, batch, step):
{indent(dedent(body), " " * 8)}
"""
    return header.lstrip() + code


def author(folder: Path, file: str = "mine.py", **parts: str) -> str:
    path = folder / file
    path.write_text(source(**parts))
    return str(path)


def failures(results: Sequence[Result]) -> dict[str, str]:
    return {result.check: result.details for result in results if result.state == FAILED}


def states(results: Sequence[Result]) -> dict[str, str]:
    return {result.check: result.state for result in results}


def test_a_method_as_an_author_would_write_it_passes(tmp_path: Path) -> None:
    found = states(list(check_methods([author(tmp_path)])))
    assert list(found) == [check.name for check in CHECKS]
    assert found.pop("ignored") == SKIPPED
    assert set(found.values()) == {PASSED}


def test_every_check_tells_what_holds_in_one_line() -> None:
    for check in CHECKS:
        assert re.fullmatch(r"[A-Z].{20,120}\.", check.description), check.name


NAN_ON_ALL_IGNORED = """
labels = labels_at(batch.target, student.logits.shape[-2:])
return {"mine": mse(student.logits, teacher.logits) + F.cross_entropy(wide(student.logits), labels, ignore_index=255)}
"""
MASKED = """
scored = (labels_at(batch.target, student.logits.shape[-2:]) != batch.ignore_index)[:, None]
difference = wide(student.logits) - wide(teacher.logits.detach())
return {"mine": (difference * scored).square().sum() / scored.sum().clamp(min=1)}
"""
STUDENT_MASKED = """
scored = (labels_at(batch.target, student.logits.shape[-2:]) != batch.ignore_index)[:, None]
difference = wide(student.logits) * scored - wide(teacher.logits.detach())
return {"mine": difference.square().mean()}
"""
PLAIN_ATTRIBUTE = """
self.seen += 1
return {"mine": mse(student.logits, teacher.logits) / self.seen}
"""
UNLEARNED = """
return {"mine": mse(student.logits, teacher.logits) + self.gate**3 * wide(student.logits).mean()}
"""
GUARDED = """
if teacher.embedding is not None:
    return {"mine": 2 * mse(student.logits, teacher.logits)}
"""

FAULTS: dict[str, tuple[dict[str, str], str, str]] = {
    "a default out of its bounds": (
        {"options": "weight: NonNegative = -1.0"},
        "options",
        "the default of mine's 'weight' breaks its own bounds: input should be greater than or equal to 0, got -1.0",
    ),
    "a class without a docstring": ({"docstring": ""}, "options", "mine has no docstring"),
    "a file without a docstring": ({"header": HEADER.split('"""')[2]}, "options", "the file of mine has no docstring"),
    "a pair that is not refused": (
        {"init": "self.width = pair.student.embedding.channels"},
        "builds",
        r"logits alone: AttributeError: .* \(.*mine.py:\d+\)\. Where the pair cannot be served raise Unsupported",
    ),
    "a refusal without a reason": (
        {"init": "if pair.student.embedding is None: raise Unsupported"},
        "builds",
        "logits alone: Unsupported is raised without a reason",
    ),
    "every pair refused": ({"init": "raise Unsupported('never')"}, "builds", "no pair is accepted: .*never"),
    "a term with the task's name": ({"body": BODY.replace('"mine"', '"ce"')}, "terms", r"\['ce'\] have names of the"),
    "strides that are not refused": (
        {"requires": ""},
        "terms",
        r"^other strides: RuntimeError: .*mine.py:\d+\)\. Where the pair cannot be served raise Unsupported",
    ),
    "no term": ({"body": "return {}"}, "terms", "forward returns no term"),
    "no dict": ({"body": "return mse(student.logits, teacher.logits)"}, "terms", "returns a Tensor: return a dict"),
    "a number": ({"body": 'return {"mine": 1.0}'}, "terms", "the term 'mine' is a float: return a tensor"),
    "a map": ({"body": 'return {"mine": student.logits}'}, "terms", "is a 2x5x16x16 tensor"),
    "not a number": ({"body": 'return {"mine": student.logits.mean() / 0 * 0}'}, "terms", "'mine' is nan: it must be"),
    "an output that is not in taps": (
        {"body": 'return {"mine": mse(student.embedding, teacher.embedding)}'},
        "terms",
        r"AttributeError: .*mine.py:\d+\)\. The teacher gives what is in taps alone: taps = \('logits',\)",
    ),
    "a forward that raises": (
        {"body": "raise RuntimeError('on purpose')"},
        "terms",
        r"RuntimeError: on purpose \(.*/mine.py:\d+\)",
    ),
    "a forward that ends the process": ({"body": "raise SystemExit(3)"}, "terms", "SystemExit: 3"),
    "a forward that raises late": (
        {"body": f"if step.iteration == 3: torch.zeros(2) @ torch.zeros(3)\n{BODY}"},
        "terms",
        r"a wider teacher: RuntimeError: .*mine.py:\d+",
    ),
    "detached": (
        {"body": 'return {"mine": mse(student.logits.detach(), teacher.logits)}'},
        "gradients",
        "no gradient reaches the student",
    ),
    "a tap that is not used": (
        {"attributes": 'taps = ("logits", "stages")'},
        "gradients",
        "no gradient reaches the student's stages: take 'stages' out of taps",
    ),
    "a parameter that is not used": (
        {"init": "self.adapter = nn.Conv2d(4, 4, 1)"},
        "gradients",
        "no gradient reaches the parameters adapter.weight, adapter.bias: use them",
    ),
    "a parameter that would never learn": (
        {
            "init": "self.gate = nn.Parameter(torch.zeros(()))",
            "body": UNLEARNED,
        },
        "gradients",
        "the gradient of the parameters gate is 0 throughout",
    ),
    "a teacher that is not detached": (
        {"body": 'return {"mine": (wide(student.logits) - wide(teacher.logits)).square().mean()}'},
        "teacher",
        r"a gradient runs into teacher.logits: use teacher.logits.detach\(\)",
    ),
    "labels written in place": ({"body": f"batch.target.clamp_(max=4)\n{BODY}"}, "inputs", "writes into batch.target"),
    "a teacher written past torch's count": (
        {"body": f"teacher.logits.data.mul_(0.5)\n{BODY}"},
        "inputs",
        "forward writes into teacher.logits: work on a copy",
    ),
    "a student written in place": (
        {"body": f"with torch.no_grad(): student.logits.mul_(1.0)\n{BODY}"},
        "inputs",
        "writes into student.logits",
    ),
    "labels replaced": (
        {"body": f"batch.target = batch.target.clamp(max=4)\n{BODY}"},
        "inputs",
        "puts another tensor in the place of batch.target",
    ),
    "outputs added": ({"body": f"teacher.embedding = teacher.logits\n{BODY}"}, "inputs", "adds teacher.embedding"),
    "a size that must be even": (
        {"body": 'return {"mine": mse(*(F.max_pool2d(one.logits, 4) for one in (student, teacher)))}'},
        "sizes",
        r"logits of 13 x 3: RuntimeError: .*, reached from .*mine.py:\d+",
    ),
    "not finite where all is ignored": (
        {"body": NAN_ON_ALL_IGNORED},
        "labels",
        "^all pixels ignored: the term 'mine' is",
    ),
    "a square root at zero": (
        {"body": 'return {"mine": mse(student.logits, teacher.logits).sqrt()}'},
        "extremes",
        "a student that equals its teacher: the gradient is not finite at student.logits",
    ),
    "an exponential": (
        {"body": 'return {"mine": mse((wide(student.logits) / 20).exp(), teacher.logits)}'},
        "extremes",
        "logits of 1e4: the term 'mine' is inf",
    ),
    "sums in half precision": (
        {"body": 'return {"mine": (student.logits - teacher.logits.detach()).square().sum()}'},
        "precision",
        "float16 outputs: the term 'mine' is torch.float16.*\nfloat16 outputs: the term 'mine' is inf",
    ),
    "a teacher put into training mode": (
        {"body": f"teacher.model.train()\n{BODY}"},
        "trains",
        r"the teacher is no longer as it was: it was put into training mode",
    ),
    "a teacher's weights": (
        {"body": f"with torch.no_grad(): teacher.model.classifier.bias.add_(1)\n{BODY}"},
        "trains",
        r"its weights changed \(classifier.bias\)",
    ),
    "numpy's unseeded generator": (
        {"body": f"self.weight = np.random.default_rng().random()\n{BODY}"},
        "deterministic",
        "two trainings from one seed differ: 'mine' of iteration 0 is",
    ),
    "the clock": (
        {"body": f"self.weight = time.perf_counter()\n{BODY}"},
        "deterministic",
        "two trainings from one seed",
    ),
    "state on the class": (
        {"attributes": "seen = 1.0", "body": f"Mine.seen += 1\nself.weight = Mine.seen\n{BODY}"},
        "deterministic",
        "keep no state outside the instance",
    ),
    "state that is not saved": (
        {"init": "self.seen = 0", "body": PLAIN_ATTRIBUTE},
        "state",
        "'mine' of iteration 2 is .* a plain attribute is not saved",
    ),
    "a buffer that appears late": (
        {"body": f"if not hasattr(self, 'queue'): self.register_buffer('queue', torch.ones(()))\n{BODY}"},
        "state",
        r"RuntimeError: .*Unexpected key\(s\) in state_dict: \"queue\"",
    ),
    "what depends on the companions' taps": (
        {"body": f"{GUARDED}\n{BODY}"},
        "lockstep",
        "alone and beside another method it trains differently: 'mine' of iteration 0",
    ),
    "what depends on the gradient mode": (
        {"body": f"self.weight = 1.0 if torch.is_grad_enabled() else 2.0\n{BODY}"},
        "no_grad",
        "differ under torch.no_grad",
    ),
    "a claim to mask": (
        {"attributes": "masks_ignored = True"},
        "ignored",
        "the student's outputs at ignored pixels move mine: mask them",
    ),
    "a claim that does not hold after a warm-up": (
        {"attributes": "masks_ignored = True", "body": f"self.weight = step.progress\n{BODY}"},
        "ignored",
        "the student's outputs at ignored pixels move mine: mask them",
    ),
    "a claim that holds for the student alone": (
        {"attributes": "masks_ignored = True", "body": STUDENT_MASKED},
        "ignored",
        "the teacher's outputs at ignored pixels move mine: mask them",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_method_fails_the_check_that_is_meant_for_it_and_no_other(tmp_path: Path, fault: str) -> None:
    parts, check, sentence = FAULTS[fault]
    found = failures(list(check_methods([author(tmp_path, **parts)])))
    assert list(found) == [check], found
    assert re.search(sentence, found[check], re.S), found[check]


def test_every_check_has_a_fault_that_it_catches() -> None:
    assert {check for _, check, _ in FAULTS.values()} == {check.name for check in CHECKS}


def test_a_true_claim_to_mask_passes(tmp_path: Path) -> None:
    path = author(tmp_path, attributes="masks_ignored = True", body=MASKED)
    found = states(list(check_methods([path])))
    assert set(found.values()) == {PASSED}


STATEFUL = '''
"""A method with all that a checkpoint must carry: buffers, adapters, an adversary, random draws."""

import random

import numpy as np
import torch
from torch import nn

from bench.method import Adversary, Method, Pair, methods, require_tap, tap_of, wide


@methods.register("stateful_adversary")
class Stateful(Method):
    """Everything at once."""

    taps = ("logits", "embedding")

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair)
        student, teacher = require_tap(pair, "embedding", "stateful_adversary")
        self.adapter = nn.Conv2d(student.channels, teacher.channels, 1)
        self.critic = nn.Sequential(nn.Conv2d(pair.num_classes, 4, 1), nn.ReLU(), nn.Conv2d(4, 1, 1))
        self.gate = nn.Parameter(torch.zeros(()))
        self.gated = nn.Parameter(torch.ones(()))
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, student, teacher, batch, step):
        with torch.no_grad():
            self.mean.lerp_(wide(teacher.logits).mean(), 0.1)
        adapted = nn.functional.adaptive_avg_pool2d(wide(self.adapter(tap_of(student, "embedding"))), 1)
        pooled = nn.functional.adaptive_avg_pool2d(wide(tap_of(teacher, "embedding").detach()), 1)
        drawn = torch.rand(()) + random.random() + np.random.rand()
        logits = wide(student.logits)
        return {
            "stateful_feature": drawn * (adapted - pooled).square().mean(),
            "stateful_mean": (logits.mean() - self.mean).square() + self.gate * self.gated * logits.square().mean(),
            "stateful_adversarial": -0.1 * self.critic(logits).mean(),
        }

    def critic_terms(self, student, teacher, batch, step):
        return {"stateful_critic": self.critic(wide(student.logits)).mean() - self.critic(wide(teacher.logits)).mean()}

    def adversaries(self):
        return [Adversary(self.critic, self.critic_terms, lambda parameters: torch.optim.Adam(parameters, lr=1e-2))]
'''


def stateful(folder: Path, old: str = "", new: str = "") -> str:
    assert old in STATEFUL
    path = folder / "stateful.py"
    path.write_text(STATEFUL.lstrip().replace(old, new) if old else STATEFUL.lstrip())
    return str(path)


def test_buffers_adapters_adversaries_and_random_draws_pass(tmp_path: Path) -> None:
    assert failures(list(check_methods([stateful(tmp_path)]))) == {}


@pytest.mark.parametrize(
    ("old", "new", "check", "sentence"),
    [
        ('"stateful_critic"', '"stateful_mean"', "terms", r"\['stateful_mean'\] are both forward's and an adversary's"),
        ('"stateful_critic"', '"auxiliary"', "terms", r"\['auxiliary'\] have names of the task's own terms"),
        ('{"stateful_critic": ', '{"stateful_critic": 0 / (batch.target != 255).sum() + ', "labels", "an adversary's"),
        (
            'return {"stateful_critic"',
            'student.logits.zero_()\n        return {"stateful_critic"',
            "inputs",
            "adversary",
        ),
        ('register_buffer("mean", torch.zeros(()))', "mean = torch.zeros(())", "state", "'stateful_mean' of iteration"),
        ("self.gate * self.gated", "0 * self.gate * self.gated", "gradients", "gate, gated is 0 throughout"),
    ],
)
def test_a_fault_of_a_method_with_an_adversary(tmp_path: Path, old: str, new: str, check: str, sentence: str) -> None:
    found = failures(list(check_methods([stateful(tmp_path, old, new)])))
    assert list(found) == [check], found
    assert re.search(sentence, found[check])


def test_the_method_that_trains_beside_must_not_be_disturbed(tmp_path: Path) -> None:
    disturb = "import bench.train.conformance.lockstep as lockstep\nlockstep.Companion.task_weight = 0.5\n"
    try:
        found = failures(list(check_methods([author(tmp_path, body=disturb + BODY)])))
    finally:
        from bench.train.conformance.lockstep import Companion

        Companion.task_weight = 1.0
    assert list(found) == ["lockstep"]
    assert "the method that trains beside it is disturbed" in found["lockstep"]


@pytest.mark.parametrize("name", ["kd", "cwd", "none", "kd+cwd"])
def test_registered_methods_and_sums_pass(name: str) -> None:
    results = list(check_methods([name]))
    assert failures(results) == {}
    assert {result.method for result in results} == {name}


def test_no_check_leaves_a_trace_in_the_registries(tmp_path: Path) -> None:
    before = {kind: registry.snapshot() for kind, registry in REGISTRIES.items()}
    list(check_methods([author(tmp_path), "kd"]))
    stopped = check_methods([author(tmp_path)])
    next(iter(stopped))
    stopped.close()  # type: ignore[attr-defined]
    assert {kind: registry.snapshot() for kind, registry in REGISTRIES.items()} == before


def test_a_file_is_checked_again_after_a_change(tmp_path: Path) -> None:
    assert failures(list(check_methods([author(tmp_path)]))) == {}
    assert list(failures(list(check_methods([author(tmp_path, body="return {}")])))) == ["terms"]


def test_hyperparameters_reach_the_method(tmp_path: Path) -> None:
    path = author(tmp_path, init="if weight > 5: raise Unsupported('too heavy')")
    assert failures(list(check_methods([path], {"weight": 5}))) == {}
    assert list(failures(list(check_methods([path], {"weight": 6})))) == ["builds"]
    with pytest.raises(BenchError, match="kd: --set tau: input should be greater than 0, got 0"):
        list(check_methods(["kd"], {"tau": 0}))
    with pytest.raises(BenchError, match=r"kd\+cwd: --set cwd.tau: input should be greater than 0, got 0"):
        list(check_methods(["kd+cwd"], {"cwd": {"tau": 0}}))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``bench check-method`` in this process; whatever happens, no traceback is shown."""

    return command_line(monkeypatch, capsys, "check-method", columns=400)


def test_the_command_shows_every_check_and_the_counts(command: Command, tmp_path: Path) -> None:
    ended = command(author(tmp_path))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(f"\n{len(CHECKS) - 1} passed, 0 failed, 1 skipped\n")
    for check in CHECKS:
        assert re.search(rf"│ mine +│ {check.name} +│ (passed|skipped) +│ \S", ended.out), check.name


def test_the_command_ends_with_1_where_a_check_failed(command: Command, tmp_path: Path) -> None:
    ended = command("kd", author(tmp_path, body="return {}"))
    assert ended.code == 1
    assert re.search(r"│ mine +│ terms +│ failed +│ .*forward returns no term", ended.out)
    assert re.search(r"│ mine +│ lockstep +│ skipped +│ 'terms' did not pass", ended.out)
    assert re.search(r"\n\d+ passed, 1 failed, \d+ skipped\n$", ended.out)


def test_every_method_of_a_file_is_checked(command: Command, tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(source() + source(name="other", header="").replace("class Mine", "class Other"))
    ended = command(str(tmp_path / "two.py"))
    assert ended.code == 0
    assert "│ mine " in ended.out
    assert "│ other " in ended.out


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("raise ValueError('on purpose')", r"ValueError: on purpose \(.*bad.py:1\)"),
        ("def", r"SyntaxError: .*bad.py, line 1"),
        ("import sys; sys.exit(0)", r"SystemExit: 0 \(.*bad.py:1\)"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_a_failed_check(
    command: Command, tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "bad.py").write_text(text)
    ended = command(str(tmp_path / "bad.py"))
    assert ended.code == 1
    assert re.search(rf"│ bad.py +│ loads +│ failed +│ {sentence}", ended.out)
    assert ended.out.endswith("\n0 passed, 1 failed, 0 skipped\n")


def test_a_signature_that_cannot_be_read_is_a_failed_check(command: Command, tmp_path: Path) -> None:
    ended = command(author(tmp_path, options="weight: float = 1.0, _hidden: int = 1"))
    assert ended.code == 1
    assert re.search(r"│ mine +│ options +│ failed +│ the options of Mine cannot be read from its signature", ended.out)


def test_what_is_no_method_fails_to_build(command: Command, tmp_path: Path) -> None:
    (tmp_path / "function.py").write_text(
        '"""No class."""\nfrom bench.method import methods\n\n'
        '@methods.register("a_function")\ndef build(pair):\n    """Nothing."""\n    return 3\n'
    )
    ended = command(str(tmp_path / "function.py"))
    assert ended.code == 1
    assert "'a_function' builds a int: return a bench.method.Method" in ended.out


@pytest.mark.parametrize(
    ("parts", "arguments", "code", "sentence"),
    [
        ({}, ["--set", "weight=2"], 0, ""),
        ({}, ["--set", "weight=-1"], 2, "mine: --set weight: input should be greater than or equal to 0, got -1"),
        (
            {},
            ["--set", "wieght=1"],
            2,
            "--set wieght: no method that is checked has it. Did you mean 'weight'? Known: w",
        ),
        ({}, ["--set", "weight"], 2, "--set weight: write key.path=value"),
        ({"options": "weight: NonNegative"}, [], 2, "mine: --set weight: 'weight' is missing"),
        ({"options": "weight: NonNegative"}, ["--set", "weight=1"], 0, ""),
        ({"options": "weight: float = 1, layers: list[int]"}, ["--set", "layers=[1, 2]"], 0, ""),
    ],
)
def test_hyperparameters_from_the_command_line(
    command: Command, tmp_path: Path, parts: dict[str, str], arguments: list[str], code: int, sentence: str
) -> None:
    ended = command(author(tmp_path, **parts), *arguments)
    assert ended.code == code
    assert sentence in ended.err


def test_an_option_goes_to_the_methods_that_have_it(command: Command, tmp_path: Path) -> None:
    path = author(tmp_path, options="weight: float = 1, depth: int", init="self.depth = depth")
    assert command("none", path, "kd+cwd", "--set", "depth=3", "--set", "kd.tau=2").code == 0


def test_a_bad_request(command: Command, tmp_path: Path) -> None:
    ended = command("cdw")
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("error: unknown method 'cdw'. Did you mean 'cwd'? Known: ")
    assert command("kd+cdw").err.startswith("error: 'kd+cdw': unknown method 'cdw'.")
    missing = tmp_path / "missing.py"
    assert command(str(missing)) == (2, "", f"error: plugin file not found: {missing}\n")


def test_a_file_without_a_method_is_told_with_what_it_registers(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "student.py"
    path.write_text("from bench.models.base import students\n\n@students.register('net')\ndef net(num_classes): ...\n")
    ended = command(str(path))
    assert ended.code == 2
    assert f"{path} registers no method; it registers the student 'net'." in ended.err
    path.write_text("")
    assert "it registers nothing." in command(str(path)).err


def test_the_fixture_passes_and_tells_all_failures(check_method: CheckMethod, tmp_path: Path) -> None:
    check_method("kd", tau=4)
    check_method("kd+cwd", kd={"tau": 2})
    check_method(Path(author(tmp_path)))
    init = "self.unused = nn.Linear(2, 2)"
    with pytest.raises(AssertionError) as caught:
        check_method(author(tmp_path, docstring="", init=init))
    told = str(caught.value).splitlines()
    assert told[0] == "2 checks failed:"
    assert told[1].startswith("mine: options: mine has no docstring")
    assert told[2].startswith("mine: gradients: no gradient reaches the parameters unused.weight, unused.bias")
    with pytest.raises(BenchError, match="Did you mean 'cwd'"):
        check_method("cdw")


def test_the_fixture_is_offered_wherever_bench_is_installed() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"bench": "bench.train.conformance.pytest_plugin"}


def test_pytest_starts_without_torch() -> None:
    heavy = "any(name in sys.modules for name in ('torch', 'numpy', 'rich'))"
    code = f"import sys, bench.train.conformance.pytest_plugin; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_another_projects_tests_get_the_fixture(tmp_path: Path) -> None:
    author(tmp_path)
    (tmp_path / "test_mine.py").write_text("def test_mine(check_method):\n    check_method('mine.py')\n")
    arguments = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "bench.train.conformance.pytest_plugin",
        "-p",
        "no:cacheprovider",
        ".",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_checks_leave_the_random_generators_and_the_methods_alone() -> None:
    import torch

    torch.manual_seed(5)
    before, names = torch.get_rng_state(), methods.names()
    list(check_methods(["kd"]))
    assert torch.equal(torch.get_rng_state(), before)
    assert methods.names() == names
