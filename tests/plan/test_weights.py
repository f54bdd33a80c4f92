"""What ``weights:`` may name, what is said where it is not here, and the gate before distillation."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console
from rich.filesize import decimal

from bench.base.errors import BenchError
from bench.base.files import digest
from bench.cli.screen.plan import print_plan
from bench.cli.screen.progress import PlainReporter
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.models.base import build_model
from bench.models.weights.pretrained import PublishedFile
from bench.plan.groups import build_plan
from bench.plan.weights import find_weights
from bench.train.run import run_matrix
from bench.train.stop import StopRequest
from tests import hub
from tests.downloads import Server, serving
from tests.harness import records, run, write_matrix


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.use_own_caches(tmp_path, monkeypatch)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def teacher_weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("teacher")
    plan = run(write_matrix(folder, methods=["none", "kd"]), folder / "results")
    (teacher,) = plan.teachers_run.cells()
    return (teacher.path / "student.safetensors").read_bytes()


def pair(weights: str, **teacher: object) -> list[dict[str, object]]:
    return [{"teacher": {"name": "net_large", "weights": weights, **teacher}, "student": "net_small"}]


def published(text: str, folder: Path) -> PublishedFile:
    found = find_weights(text, folder)
    assert isinstance(found, PublishedFile)
    return found


def test_a_file_is_found_in_the_current_folder_and_beside_the_matrix(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"x")
    assert find_weights("w.pth", tmp_path) == tmp_path / "w.pth"
    assert find_weights(str(tmp_path / "w.pth"), Path("elsewhere")) == tmp_path / "w.pth"


def test_published_weights_by_the_name_of_their_library(tmp_path):
    for text in ("FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1", "torchvision:FCN_ResNet50_Weights.DEFAULT"):
        assert published(text, tmp_path).url == ("https://download.pytorch.org/models/fcn_resnet50_coco-1167a1af.pth")
    timm = published("timm:resnet18.a1_in1k", tmp_path)
    assert timm.url == "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors"
    assert timm.file == "timm--resnet18.a1_in1k--model.safetensors"
    smp = published("smp:smp-hub/segformer-b0-512x512-ade-160k", tmp_path)
    assert smp.url.endswith("/smp-hub/segformer-b0-512x512-ade-160k/resolve/main/model.safetensors")
    assert published("hf:a/b/c.pth", tmp_path).url == "https://huggingface.co/a/b/resolve/main/c.pth"
    assert published("https://example.org/x/net%201.pth?download=1", tmp_path).file == "net 1.pth"
    names = {published(f"hf:a/b/{file}", tmp_path).file for file in ("c/d.pth", "c--d.pth")}
    assert len(names) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("absent.pth", "weights not found: absent.pth (looked in the current folder and beside the matrix"),
        ("FCN_ResNet50_Weights.VOC", "Known: FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1"),
        ("torchvision:FCN_ResNet5_Weights.X", "torchvision publishes no such weights"),
        ("https://example.org", "the URL ends in no file name"),
        ("hf:only-a-name", "a repository is written OWNER/NAME"),
        ("hf:owner/-name", "a repository is written OWNER/NAME"),
        ("hf:owner/name/../w.pth", "a file in it FOLDER/FILE"),
        ("timm:owner/name", "a repository is written OWNER/NAME"),
        ("~nobody-of-that-name/w.pth", "weights not found"),
        ("x" * 5000, "weights not found"),
        ("x\0y", "weights not found"),
        ("http://example.org/a b.pth", "a URL holds no spaces and no control characters"),
        ("http://example.org/\x1b[31m.pth", "a URL holds no spaces and no control characters"),
        ("http://[/a.pth", "no URL"),
    ],
)
def test_weights_that_nobody_has_are_refused(tmp_path, text, told):
    with pytest.raises(BenchError) as caught:
        find_weights(text, tmp_path)
    assert told in str(caught.value)


def test_a_plan_tells_what_is_missing_and_a_run_fetches_it_once(tmp_path, server, teacher_weights, capsys):
    digits = hashlib.sha256(teacher_weights).hexdigest()
    name = f"net-{digits[:8]}.safetensors"
    url = server.url(name)
    path = write_matrix(tmp_path, methods=["none", "kd"], pairs=pair(url))
    settings = Settings(results=tmp_path / "results")
    plan = build_plan(load_matrix(str(path)), settings)
    cached = tmp_path / "results" / "cache" / "weights" / f"{digest(url, 32)}.safetensors"
    assert plan.missing == [f"{name} is not here: fetch {url} and put it at {cached}"]
    print_plan(plan, Console(width=300))
    assert f"missing: {plan.missing[0]}; a run fetches it" in capsys.readouterr().out
    assert server.requests == []
    server.failures = [404]
    with pytest.raises(BenchError, match=r"is not here: fetch .*the download failed: HTTP 404"):
        run(path, tmp_path / "results")
    assert not cached.exists()
    server.content = teacher_weights
    done = run(path, tmp_path / "results")
    assert {planned.state for planned in done.cells} == {"done"}
    assert records(done.run)["kd"][1]["cell"]["teacher"]["weights_sha256"] == digits
    n_requests = len(server.requests)
    assert {planned.state for planned in build_plan(load_matrix(str(path)), settings).cells} == {"done"}
    assert len(server.requests) == n_requests


ESCAPING = (
    "a/%2Ftmp%2Fx%2Fbashrc",
    "%2e%2e%2f%2e%2e%2fx.pth",
    "..%2f..%2fx.pth",
    "a/..\\\\..\\\\x.pth",
    "%00.pth",
    "x" * 3000,
    "CON",
    "a.pth?x=/../../y.pth",
    "%F0%9F%98%80.safetensors",
)


@pytest.mark.parametrize("name", ESCAPING)
def test_nothing_of_an_address_becomes_a_path(tmp_path, name):
    url = f"http://127.0.0.1:1/{name}"
    found = published(url, tmp_path)
    assert found.path.parent == found.home
    assert re.fullmatch(r"[0-9a-f]{32}\.(pth|safetensors)", found.path.name)


def test_a_download_lands_nowhere_but_in_the_cache(tmp_path, server, teacher_weights):
    server.content = teacher_weights
    inside = tmp_path / "in"
    inside.mkdir()
    url = server.url(f"a/{str(tmp_path / 'victim.safetensors').replace('/', '%2F')}")
    path = write_matrix(inside, methods=["none", "kd"], pairs=pair(url, sha256=sha256(teacher_weights)))
    assert {planned.state for planned in run(path, inside / "results").cells} == {"done"}
    assert [item.name for item in tmp_path.iterdir()] == ["in"]
    (kept,) = (inside / "results" / "cache" / "weights").glob("*.safetensors")
    assert kept.read_bytes() == teacher_weights


def test_two_addresses_that_end_alike_are_two_teachers(tmp_path, teacher_weights):
    other = bytearray(teacher_weights)
    other[-1] ^= 1
    with serving() as first, serving() as second:
        first.content, second.content = teacher_weights, bytes(other)
        pairs = [*pair(first.url("model.safetensors")), *pair(second.url("model.safetensors"))]
        plan = run(write_matrix(tmp_path, methods=["none", "kd"], pairs=pairs), tmp_path / "results")
    digests = {planned.cell.teacher.weights_sha256 for planned in plan.cells if planned.cell.teacher}
    assert digests == {sha256(teacher_weights), sha256(other)}


def test_a_kept_file_that_was_changed_is_not_taken_for_what_was_downloaded(tmp_path, server, teacher_weights):
    server.content = teacher_weights
    path = write_matrix(tmp_path, methods=["none", "kd"], pairs=pair(server.url("w.safetensors")))
    run(path, tmp_path / "results")
    (kept,) = (tmp_path / "results" / "cache" / "weights").glob("*.safetensors")
    memo = kept.with_suffix(".json")
    kept.write_bytes(teacher_weights[:-1] + b"x")
    told = f"{kept} is not what was downloaded from {server.url('w.safetensors')}: delete it and {memo.name}"
    with pytest.raises(BenchError, match=re.escape(told)):
        run(path, tmp_path / "results")
    kept.unlink()
    memo.unlink()
    assert {planned.state for planned in run(path, tmp_path / "results").cells} == {"done"}


def test_weights_that_are_put_by_hand_where_a_plan_says_are_taken(tmp_path, teacher_weights):
    path = write_matrix(tmp_path, methods=["none", "kd"], pairs=pair("https://127.0.0.1:1/w.safetensors"))
    (missing,) = build_plan(load_matrix(str(path)), Settings(results=tmp_path / "results")).missing
    place = Path(missing.rpartition(" put it at ")[2])
    place.parent.mkdir(parents=True)
    place.write_bytes(teacher_weights)
    assert {planned.state for planned in run(path, tmp_path / "results").cells} == {"done"}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_a_matrix_may_tell_the_digest_of_its_weights(tmp_path, server, teacher_weights):
    server.content, right = teacher_weights, sha256(teacher_weights)
    settings = Settings(results=tmp_path / "results")

    def matrix(weights, told):
        return write_matrix(tmp_path, methods=["none", "kd"], pairs=pair(weights, sha256=told))

    plan = build_plan(load_matrix(str(matrix(server.url("w.safetensors"), right.upper()))), settings)
    ids = [planned.cell.id for planned in plan.cells]
    with pytest.raises(BenchError, match=f"sha256 expected {'0' * 64}, found {right}"):
        run(matrix(server.url("w.safetensors"), "0" * 64), settings.results)
    assert not list((settings.results / "cache" / "weights").glob("*.safetensors"))
    done = run(matrix(server.url("w.safetensors"), f"sha256:{right}"), settings.results)
    assert [planned.cell.id for planned in done.cells] == ids, "the keys are known before the download"
    without = write_matrix(tmp_path, methods=["none", "kd"], pairs=pair(server.url("w.safetensors")))
    plan = build_plan(load_matrix(str(without)), settings)
    assert [(planned.cell.id, planned.state) for planned in plan.cells] == [(one, "done") for one in ids]
    file = tmp_path / "own.safetensors"
    file.write_bytes(teacher_weights)
    assert build_plan(load_matrix(str(matrix(str(file), right))), settings).missing == []
    with pytest.raises(BenchError, match=f"{file}: the matrix tells sha256 {'1' * 64} of it, but it has {right}"):
        build_plan(load_matrix(str(matrix(str(file), "1" * 64))), settings)


@pytest.mark.parametrize(
    ("teacher", "told"),
    [
        ({"weights": "w.pth", "sha256": "abc"}, "64 hexadecimal digits are needed"),
        ({"weights": "w.pth", "sha256": 12}, "64 hexadecimal digits are needed"),
        ({"sha256": "0" * 64}, "give weights as well"),
    ],
)
def test_a_digest_that_is_none_is_refused_with_its_line(tmp_path, teacher, told):
    pairs = [{"teacher": {"name": "net_large", **teacher}, "student": "net_small"}]
    with pytest.raises(BenchError, match=rf"shapes\.yaml:\d+: pairs\[0\]\.teacher.*{told}"):
        load_matrix(str(write_matrix(tmp_path, pairs=pairs)))


def test_an_address_without_encryption_and_digest_is_told_once(tmp_path, server, teacher_weights, capsys):
    url = server.url("w.safetensors")
    told = f"note: {url} comes without encryption, so that others may change it on its way: tell its sha256"
    pairs, settings = [*pair(url), *pair(url)], Settings(results=tmp_path / "results")
    plan = build_plan(load_matrix(str(write_matrix(tmp_path, pairs=pairs, seeds=[0, 1]))), settings)
    print_plan(plan, Console(width=300))
    assert capsys.readouterr().out.count(told) == 1
    text, server.content = io.StringIO(), teacher_weights
    path = write_matrix(tmp_path, methods=["none", "kd"], pairs=pair(url))
    run_matrix(load_matrix(str(path)), settings, PlainReporter(Console(file=text, width=300)), StopRequest())
    assert text.getvalue().count(told) == 1
    for given in (pair(url, sha256=sha256(teacher_weights)), pair(url.replace("http:", "https:"))):
        path = write_matrix(tmp_path, methods=["none", "kd"], pairs=given)
        assert build_plan(load_matrix(str(path)), settings).notes == ()


def test_a_run_tells_how_a_download_goes_on(tmp_path, server, monkeypatch):
    monkeypatch.setattr("bench.train.run.FETCHING_EVERY_S", 0.0)
    name = "net-00000000.safetensors"
    path, told = write_matrix(tmp_path, methods=["none", "kd"], pairs=pair(server.url(name))), io.StringIO()
    reporter = PlainReporter(Console(file=told, width=300))
    with pytest.raises(BenchError, match="expected 00000000"):
        run_matrix(load_matrix(str(path)), Settings(results=tmp_path / "results"), reporter, StopRequest())
    whole = decimal(len(server.content))
    lines = [line.partition("] ")[2] for line in told.getvalue().splitlines()]
    assert lines[:2] == [f"fetching {server.url(name)}", f"{name}: 0 bytes of {whole}"]
    assert f"{name}: {whole} of {whole}" in lines


def test_weights_of_the_hub_keep_the_keys_of_cells_wherever_they_lie(tmp_path, monkeypatch, teacher_weights):
    path = write_matrix(tmp_path, methods=["none", "kd"], pairs=pair("hf:owner/name/net.safetensors"))
    url = "https://huggingface.co/owner/name/resolve/main/net.safetensors"
    by_hand = tmp_path / "hub" / "checkpoints" / "owner--name--net.safetensors"

    def planned():
        plan = build_plan(load_matrix(str(path)), Settings(results=tmp_path / "results"))
        return plan, {item.cell.teacher.weights_sha256 for item in plan.cells if item.cell.teacher}

    plan, absent = planned()
    assert plan.missing == [f"net.safetensors of owner/name is not here: fetch {url} and put it at {by_hand}"]
    assert absent == {digest({"absent": url})}
    with hub.serving() as running:
        hub.use_hub(running.url, monkeypatch)
        running.files["owner/name/net.safetensors"] = teacher_weights
        for file in plan.published:
            file.fetch()
    plan, here = planned()
    assert plan.missing == []
    assert here == {hashlib.sha256(teacher_weights).hexdigest()}
    shutil.rmtree(tmp_path / "hf")
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(teacher_weights)
    plan, put_there = planned()
    assert plan.missing == []
    assert put_there == here


def test_a_teacher_far_from_its_expected_score_stops_the_run_before_anything_learns(tmp_path, teacher_weights):
    (tmp_path / "teacher.safetensors").write_bytes(teacher_weights)
    weights = str(tmp_path / "teacher.safetensors")
    plan = run(write_matrix(tmp_path, methods=["none", "kd"], pairs=pair(weights)), tmp_path / "results")
    score = 100 * records(plan.run)["kd"][1]["teacher"]["metrics"]["miou"]
    near = {"miou": round(score, 1), "tolerance": 0.5}
    path = write_matrix(tmp_path, "near", methods=["none", "kd"], pairs=pair(weights, expected=near))
    assert {planned.state for planned in run(path, tmp_path / "results").cells} == {"done"}
    far = write_matrix(tmp_path, "far", methods=["none", "kd"], pairs=pair(weights, expected={"miou": score - 5}))
    with pytest.raises(BenchError) as caught:
        run(far, tmp_path / "results")
    told = str(caught.value)
    assert f"teacher 'net_large' has {score:.2f} mIoU on shapes val" in told
    assert "another normalisation" in told
    assert not list((tmp_path / "results" / "far" / "cells").glob("*/result.json"))


def test_expected_scores_are_checked_in_the_matrix(tmp_path):
    path = write_matrix(tmp_path, pairs=pair("w.pth", expected={"miuo": 60}))
    with pytest.raises(BenchError) as caught:
        load_matrix(str(path))
    assert "unknown key 'miuo'. Did you mean 'miou'?" in str(caught.value)


def test_a_publishers_checkpoint_is_told_by_its_form_and_what_goes_with_it(tmp_path, capsys):
    model = build_model("espnet", 3, {})
    torch.save({f"module.{name}": value for name, value in model.state_dict().items()}, tmp_path / "espnet.pth")
    entry = {"name": "espnet", "weights": str(tmp_path / "espnet.pth")}
    pairs = [{"teacher": entry, "student": "net_small"}]
    settings = Settings(results=tmp_path / "results")
    plan = build_plan(load_matrix(str(write_matrix(tmp_path, methods=["none", "response"], pairs=pairs))), settings)
    prefix = "espnet.pth: 'module.' was taken off the names of its tensors"
    assert plan.notes[0] == prefix
    assert "which goes with normalization: espnet_camvid of 'espnet'" in plan.notes[1]
    print_plan(plan, Console(width=250))
    printed = capsys.readouterr().out
    assert all(printed.count(f"note: {note}") == 1 for note in plan.notes)
    pairs = [{"teacher": {**entry, "normalization": "espnet_camvid"}, "student": "net_small"}]
    plan = build_plan(load_matrix(str(write_matrix(tmp_path, methods=["none", "response"], pairs=pairs))), settings)
    assert plan.notes == (prefix,)


def test_a_teacher_in_the_wrappings_of_a_trainer_is_the_same_teacher(tmp_path, teacher_weights):
    """Whatever prefix all names share is taken off and told; what was never counted is no fault."""
    from safetensors.torch import load

    state = load(teacher_weights)
    plain = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(
        {"state_dict": {f"model.{name}": value for name, value in plain.items()}, "epoch": 3}, tmp_path / "l.ckpt"
    )
    torch.save({f"net._orig_mod.student.{name}": value for name, value in state.items()}, tmp_path / "o.pth")
    (tmp_path / "plain.safetensors").write_bytes(teacher_weights)
    scores = {}
    for name, notes in {
        "plain.safetensors": (),
        "l.ckpt": ("l.ckpt: 'model.' was taken off the names of its tensors",),
        "o.pth": (
            "o.pth: '_orig_mod.' was taken off the names of its tensors",
            "o.pth: 'net.student.' was taken off the names of its tensors",
        ),
    }.items():
        path = write_matrix(tmp_path, name, methods=["none", "kd"], pairs=pair(str(tmp_path / name)))
        plan = run(path, tmp_path / "results")
        assert plan.notes == notes
        scores[name] = records(plan.run)["kd"][1]["metrics"]["miou"]
    assert len(set(scores.values())) == 1
