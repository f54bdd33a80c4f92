import shutil

import pytest

from bench.base.errors import BenchError
from bench.base.files import file_digest
from bench.base.progress import Silent
from bench.data.facts import Archive
from bench.data.get.obtain import DOWNLOADS, pending, prepare
from tests.downloads import Notes, content_of, make_zip


class Published:
    """All that obtaining needs to know of a dataset."""

    manual = "Now do the rest by hand."

    def __init__(self, *archives):
        self.archives = archives


def published(tmp_path):
    source = tmp_path / "source"
    first, second = make_zip(source / "one.zip", {"one/a": b"1"}), make_zip(source / "two.zip", {"two/b": b"2"})
    return Published(
        Archive(first.as_uri(), bytes=first.stat().st_size, checksum=f"sha256:{file_digest(first)}"),
        Archive(second.as_uri(), folder="sub"),
    )


def test_all_archives_are_unpacked_once_and_the_rest_is_told(tmp_path):
    data, root, notes = published(tmp_path), tmp_path / "root", Notes()
    prepare(data, root, notes)
    found = {name: content for name, content in content_of(root).items() if not name.startswith(DOWNLOADS)}
    assert found == {"one/a": b"1", "sub/two/b": b"2"}
    assert notes.lines[-1] == data.manual
    assert any("unpacked one.zip: 1 files" in line for line in notes.lines)
    shutil.rmtree(tmp_path / "source")
    for path in (root / DOWNLOADS).glob("*.zip"):
        path.unlink()
    assert pending(data, root) == []
    prepare(data, root, again := Notes())
    assert again.lines == [data.manual]


def test_what_was_unpacked_and_then_removed_is_got_again(tmp_path):
    data, root = published(tmp_path), tmp_path / "root"
    prepare(data, root, Silent())
    shutil.rmtree(root / "sub" / "two")
    assert pending(data, root) == [data.archives[1]]
    prepare(data, root, Silent())
    assert (root / "sub" / "two" / "b").read_bytes() == b"2"


def test_a_broken_marker_counts_for_nothing(tmp_path):
    data, root = published(tmp_path), tmp_path / "root"
    prepare(data, root, Silent())
    for marker, text in zip(sorted((root / DOWNLOADS).glob("*.unpacked.json")), ("[1]", "{"), strict=True):
        marker.write_text(text)
    assert pending(data, root) == list(data.archives)


def test_the_space_for_everything_is_needed_at_the_start(tmp_path, monkeypatch):
    data = Published(Archive("https://publisher.invalid/a.zip", bytes=3 * 2**40))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**50, 0, 2**42))
    with pytest.raises(BenchError, match="about 6291456 MiB needed"):
        prepare(data, tmp_path, Silent())


def test_a_root_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match=r"cannot write to .*file"):
        prepare(Published(), tmp_path / "file", Silent())


def test_two_processes_do_not_download_to_one_place(tmp_path):
    from filelock import FileLock

    (tmp_path / DOWNLOADS).mkdir()
    with FileLock(tmp_path / DOWNLOADS / ".lock"), pytest.raises(BenchError, match="another process is downloading"):
        prepare(Published(), tmp_path, Silent())
