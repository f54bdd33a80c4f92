from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.base.files import (
    canonical,
    digest,
    require_writable,
    write_atomic,
    write_json,
    write_problem,
    write_text,
)
from bench.base.temporary import temporary_name
from bench.store import folders as store
from bench.store.folders import (
    CHECKPOINT,
    CONFIG,
    COUNTS,
    FAILURE,
    PREVIOUS,
    RESULT,
    STORE_SCHEMA,
    CellFolder,
    CorruptRecord,
    Record,
    RunFolder,
    read_result,
)
from bench.tasks.segmentation.counts import Counts

RECORD: Record = {"status": "done", "metrics": {"miou": 0.25, "iou": {"ä": 0.25, "ö": 0.25}}, "n": 3}
MATRICES = np.array([[[1, 1], [0, 1]], [[0, 0], [2, 0]]])
"""Pixels of two images whose scores are those of the record."""


def raising(number: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def finished(tmp_path: Path) -> CellFolder:
    folder = CellFolder(tmp_path / "run" / "cells" / "a.b.s0.0123456789ab")
    folder.path.mkdir(parents=True)
    Counts.from_dense(MATRICES).save(folder.path / COUNTS)
    folder.finish(RECORD)
    return folder


# --- atomic writes


@pytest.mark.parametrize("target", ["os.fsync", "pathlib.Path.replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failed_write_leaves_the_old_content_and_no_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, number: int
) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(target, raising(number))
        with pytest.raises(OSError, match=os.strerror(number)):
            write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]
    write_text(path, "new")
    assert path.read_text() == "new"


def test_an_interrupt_in_the_middle_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def half(file: Any) -> None:
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, half)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    seen = []

    def write(file: Any) -> None:
        for byte in b"new":
            file.write(bytes([byte]))
            file.flush()
            seen.append(path.read_text())

    write_atomic(path, write)
    assert seen == ["old"] * 3
    assert path.read_text() == "new"


def test_written_files_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    write_text(tmp_path / "ours", "x")
    (tmp_path / "usual").write_text("x")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_sweep_removes_what_a_kill_left_and_nothing_else(finished: CellFolder) -> None:
    before = names(finished.path)
    (finished.path / temporary_name(RESULT)).write_text("half")
    for other in (".mine.tmp", ".result.json.0123.tmp", "notes.tmp"):
        (finished.path / other).write_text("not ours")
    finished.sweep()
    assert names(finished.path) == sorted([*before, ".mine.tmp", ".result.json.0123.tmp", "notes.tmp"])


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": float("nan"), "b": [float("inf"), 1.5], "ä": (1, 2)})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": None, "b": [None, 1.5], "ä": [1, 2]}
    assert "ä" in text


def test_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    assert len(digest({}, 12)) == 12
    with pytest.raises(ValueError):
        canonical(float("nan"))


# --- results


def test_a_finished_cell_is_done(finished: CellFolder) -> None:
    state, record = finished.state()
    assert state == "done"
    assert {**RECORD, "schema": STORE_SCHEMA}.items() <= record.items()
    assert set(record["files"]) == {COUNTS}


def test_finishing_drops_what_only_resume_needed(finished: CellFolder) -> None:
    for name in (CHECKPOINT, PREVIOUS, FAILURE):
        (finished.path / name).write_text("{}")
    finished.finish(RECORD)
    assert names(finished.path) == [COUNTS, RESULT]


def test_non_finite_metrics_are_sealed_as_null(finished: CellFolder) -> None:
    (finished.path / COUNTS).unlink()
    finished.finish({"metrics": {"miou": float("nan")}})
    assert read_result(finished.path)["metrics"] == {"miou": None}


def assert_corrupt_or_true(folder: CellFolder, truth: Record) -> str:
    state, record = folder.state()
    assert state in ("corrupt", "done")
    if state == "done":
        assert record == truth
    else:
        assert record["reason"]
    return state


def test_a_result_cut_at_any_byte_is_corrupt_or_true(finished: CellFolder) -> None:
    path, truth = finished.path / RESULT, read_result(finished.path)
    content = path.read_bytes()
    states = []
    for length in range(len(content)):
        path.write_bytes(content[:length])
        states.append(assert_corrupt_or_true(finished, truth))
    assert states == ["corrupt"] * (len(content) - 1) + ["done"]  # the last byte is a line feed


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_a_result_with_a_flipped_bit_is_corrupt_or_true(finished: CellFolder, mask: int) -> None:
    path, truth = finished.path / RESULT, read_result(finished.path)
    content = path.read_bytes()
    states = []
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ mask]) + content[position + 1 :])
        states.append(assert_corrupt_or_true(finished, truth))
    assert states.count("corrupt") > 0.8 * len(content)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "3",
        "{}",
        "[" * 100_000,
        '{"schema": true}',
        '{"schema": 0}',
        '{"schema": "1"}',
        '{"schema": 1}',
        '{"schema": 1, "x": "\\ud800"}',
        '{"schema": 1, "x": ' + "9" * 5000 + "}",
    ],
)
def test_other_content_is_corrupt(finished: CellFolder, text: str) -> None:
    (finished.path / RESULT).write_text(text)
    assert finished.state()[0] == "corrupt"


def test_a_hand_edited_number_is_corrupt(finished: CellFolder) -> None:
    path = finished.path / RESULT
    path.write_text(path.read_text().replace("0.25", "0.95"))
    state, record = finished.state()
    assert state == "corrupt"
    assert record["reason"] == f"{RESULT} does not match its digest: it was changed after it was written"


def test_a_newer_schema_asks_for_an_upgrade(finished: CellFolder) -> None:
    write_json(finished.path / RESULT, store.seal({**RECORD, "schema": STORE_SCHEMA + 1}))
    with pytest.raises(CorruptRecord) as caught:
        read_result(finished.path)
    assert str(caught.value) == (
        f"result.json has schema {STORE_SCHEMA + 1}, this version reads up to {STORE_SCHEMA}: upgrade bench"
    )


def test_damaged_and_missing_counts_are_corrupt(finished: CellFolder) -> None:
    path = finished.path / COUNTS
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert finished.state() == ("corrupt", {"reason": f"{COUNTS} does not match the digest in {RESULT}"})
    path.unlink()
    assert finished.state() == ("corrupt", {"reason": f"{COUNTS} is missing"})


def test_a_result_that_is_a_folder_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "cell" / RESULT).mkdir(parents=True)
    assert CellFolder(tmp_path / "cell").state()[0] == "corrupt"


def test_states_before_a_result(tmp_path: Path) -> None:
    folder = CellFolder(tmp_path / "cell")
    assert folder.state() == ("planned", {})
    folder.path.mkdir()
    assert folder.state() == ("planned", {})
    (folder.path / PREVIOUS).write_text("")
    assert folder.state() == ("interrupted", {})
    folder.fail({"status": "diverged", "reason": "NaN"})
    state, record = folder.state()
    assert state == "diverged"
    assert record["reason"] == "NaN"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"status": "done"}', '{"status": ["failed"]}', "\x00"])
def test_a_damaged_failure_is_corrupt_and_never_done(tmp_path: Path, text: str) -> None:
    (tmp_path / FAILURE).write_text(text)
    state, record = CellFolder(tmp_path).state()
    assert state == "corrupt"
    assert FAILURE in record["reason"]


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{"])
def test_an_unreadable_config_is_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CONFIG).write_bytes(content)
    assert CellFolder(tmp_path).config() == {}


def test_setting_aside_keeps_everything(finished: CellFolder) -> None:
    first = finished.set_aside("stale")
    assert read_result(first)["n"] == 3
    assert not finished.path.exists()
    finished.path.mkdir()
    second = finished.set_aside("stale")
    assert first != second
    assert {first.name, second.name} == {f"{finished.cell_id}.stale-1", f"{finished.cell_id}.stale-2"}


def test_cells_are_listed_by_name_and_files_are_no_cells(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert list(run.cells()) == []
    for name in ("b", "a"):
        run.cell(name).path.mkdir(parents=True)
    (tmp_path / "cells" / "notes.txt").write_text("")
    assert [folder.cell_id for folder in run.cells()] == ["a", "b"]


# --- counts


@st.composite
def confusions(draw: st.DrawFn) -> np.ndarray:
    n_images, n_classes = draw(st.integers(0, 4)), draw(st.integers(1, 5))
    size = n_images * n_classes**2
    values = draw(st.lists(st.sampled_from([0, 0, 1, 7, 65_536, 2**32 - 1]), min_size=size, max_size=size))
    return np.array(values, dtype=np.int64).reshape(n_images, n_classes, n_classes)


@given(confusions())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_counts_round_trip(tmp_path: Path, matrices: np.ndarray) -> None:
    Counts.from_dense(matrices).save(tmp_path / COUNTS)
    loaded = Counts.load(tmp_path / COUNTS)
    assert (loaded.n_images, loaded.num_classes) == matrices.shape[:2]
    dense = np.zeros_like(matrices)
    dense[loaded.image, loaded.target, loaded.prediction] = loaded.count
    np.testing.assert_array_equal(dense, matrices)
    np.testing.assert_array_equal(loaded.total(), matrices.sum(axis=0))


def test_counts_hold_a_thousand_classes(tmp_path: Path) -> None:
    matrices = np.zeros((2, 1000, 1000), dtype=np.int64)
    matrices[1, 999, 998] = 5
    Counts.from_dense(matrices).save(tmp_path / COUNTS)
    loaded = Counts.load(tmp_path / COUNTS)
    assert loaded.total()[999, 998] == loaded.total().sum() == 5
    assert (tmp_path / COUNTS).stat().st_size < 4096


# --- folders, locks, disks


def test_a_second_writer_is_refused_and_the_next_one_is_not(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    message = f"another process is running a matrix in {run.path}. Wait for it, or choose another --results folder."
    with run.writing():
        with pytest.raises(BenchError) as caught, RunFolder(run.path).writing():
            pass
        assert caught.value.problems == (message,)
    with FileLock(run.path / ".lock"), pytest.raises(BenchError, match="another process"), run.writing():
        pass
    with run.writing():
        pass


def test_another_process_holds_the_lock_until_it_dies(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    hold = "lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    arguments = [sys.executable, "-c", f"import sys, filelock; {hold}", str(tmp_path / ".lock")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BenchError, match="another process"), run.writing():
            pass
        other.kill()
    with run.writing():
        pass


def test_the_lock_is_released_when_the_run_fails(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(RuntimeError), run.writing():
        raise RuntimeError
    with run.writing():
        pass


def test_a_file_in_the_way_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, reason in ((tmp_path / "file", "File exists"), (tmp_path / "file" / "run", "Not a directory")):
        with pytest.raises(BenchError) as caught:
            require_writable(folder)
        assert caught.value.problems == (f"cannot write to {folder}: {reason}. Choose another --results folder.",)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_with_the_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr("os.fsync", raising(number))
    with pytest.raises(BenchError, match=r"^no disk space for .*run: \d+\.\d MiB free\. Free some, or choose another"):
        require_writable(tmp_path / "run")


def test_a_read_only_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", raising(errno.EROFS))
    with pytest.raises(BenchError, match=r"^cannot write to .*: Read-only file system\. Choose another --results"):
        require_writable(tmp_path)
    assert names(tmp_path) == []


def test_the_free_space_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    sentence = write_problem(tmp_path / "a" / "b", OSError(errno.ENOSPC, "x"))
    assert sentence.startswith(f"no disk space for {tmp_path / 'a' / 'b'}: ")


def test_a_sealed_record_without_its_files_is_corrupt(finished: CellFolder) -> None:
    write_json(finished.path / RESULT, store.seal({**RECORD, "schema": STORE_SCHEMA}))
    assert finished.state() == ("corrupt", {"reason": f"{RESULT} does not list its files"})


@pytest.mark.parametrize("name", ["cells", "cells/one", "teachers", "gallery", "absent"])
def test_a_link_to_another_folder_inside_a_run_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    run, elsewhere = RunFolder(tmp_path / "run"), tmp_path / "elsewhere"
    (run.path / name).parent.mkdir(parents=True)
    if name != "absent":
        elsewhere.mkdir()
    (run.path / name).symlink_to(elsewhere)
    with pytest.raises(BenchError) as caught, run.writing():
        pass
    assert str(caught.value).startswith(f"{run.path / name} is a link, which may lead anywhere, and nothing is written")
    assert not elsewhere.exists() or not names(elsewhere)


def test_a_run_folder_named_by_the_user_and_links_to_files_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "report.html").write_text("kept")
    (tmp_path / "disk" / "report.html").symlink_to(tmp_path / "report.html")
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    with RunFolder(tmp_path / "run").writing():
        write_text(tmp_path / "run" / "report.html", "new")
    assert (tmp_path / "report.html").read_text() == "kept"
    assert (tmp_path / "disk" / "report.html").read_text() == "new"


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim, absent = tmp_path / "victim", tmp_path / "absent"
    victim.write_text("precious")
    for target in (victim, absent):
        run = RunFolder(tmp_path / f"run-{target.name}")
        run.path.mkdir()
        (run.path / ".lock").symlink_to(target)
        with pytest.raises(BenchError, match=r"\.lock( is a link|: Too many levels of symbolic links)"), run.writing():
            pass
    assert victim.read_text() == "precious"
    assert not absent.exists()
