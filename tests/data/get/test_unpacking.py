import io
import tarfile

import pytest

from bench.base.errors import BenchError
from bench.base.progress import Silent
from bench.data.get.unpacking import unpack
from tests.downloads import Notes, content_of, make_zip

MEMBERS = {"top/a.txt": b"a", "top/deep/b.txt": b"b" * 5000, "list.txt": b"c"}


def make_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def archives(tmp_path, members=MEMBERS):
    return [
        make_zip(tmp_path / "x.zip", members),
        make_tar(tmp_path / "x.tar", members),
        make_tar(tmp_path / "x.tgz", members, "w:gz"),
        make_tar(tmp_path / "x.tar.xz", members, "w:xz"),
    ]


@pytest.mark.parametrize("kind", range(4))
def test_archives_of_every_kind_are_unpacked(tmp_path, kind):
    notes = Notes()
    done = unpack(archives(tmp_path)[kind], tmp_path / "out", notes)
    assert content_of(tmp_path / "out") == MEMBERS
    assert (done.n_new, done.n_kept, done.entries) == (3, 0, ("list.txt", "top"))
    task, last, total = notes.bytes[-1]
    assert last == total
    assert task.startswith("unpack x.")


@pytest.mark.parametrize("kind", range(4))
def test_what_is_there_is_not_overwritten(tmp_path, kind):
    (tmp_path / "out" / "top").mkdir(parents=True)
    (tmp_path / "out" / "top" / "a.txt").write_bytes(b"mine")
    (tmp_path / "out" / ".unpacking-killed").mkdir()
    done = unpack(archives(tmp_path)[kind], tmp_path / "out", Silent())
    assert content_of(tmp_path / "out") == {**MEMBERS, "top/a.txt": b"mine"}
    assert (done.n_new, done.n_kept) == (2, 1)
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "..\\evil.txt", "/evil.txt", "C:\\evil.txt"])
def test_zip_members_that_leave_the_folder_are_refused(tmp_path, name):
    path = make_zip(tmp_path / "x.zip", {"good.txt": b"", name: b""})
    with pytest.raises(BenchError, match=r"refused, as its member .*evil.txt' would leave the folder"):
        unpack(path, tmp_path / "deep" / "out", Silent())
    assert content_of(tmp_path / "deep") == {}
    assert path.exists()


def test_tar_members_that_leave_the_folder_are_refused(tmp_path):
    path = make_tar(tmp_path / "x.tar", {"good.txt": b"", "../evil.txt": b""})
    with pytest.raises(BenchError, match="refused, as a member would leave the folder"):
        unpack(path, tmp_path / "deep" / "out", Silent())
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    with tarfile.open(tmp_path / "y.tar", "w") as archive:
        archive.addfile(link)
    with pytest.raises(BenchError, match="refused"):
        unpack(tmp_path / "y.tar", tmp_path / "deep" / "out", Silent())
    assert content_of(tmp_path / "deep") == {}


@pytest.mark.parametrize(
    ("kind", "damage"),
    [(kind, damage) for kind in range(4) for damage in ("truncated", "flipped") if (kind, damage) != (1, "flipped")],
)  # a plain tar has no checksum of its contents
def test_damaged_archives_are_put_aside_and_leave_nothing_behind(tmp_path, kind, damage):
    random_bytes = bytes((index * index * 7919 >> 3) % 256 for index in range(60_000))
    path = archives(tmp_path, {"a.bin": random_bytes, "b.bin": random_bytes[::-1]})[kind]
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] if damage == "truncated" else whole[:middle] + b"\0" * 64 + whole[middle + 64 :])
    with pytest.raises(BenchError, match=r"not a whole zip or tar archive .* renamed to x\.[a-z.]+\.damaged") as caught:
        unpack(path, tmp_path / "out", Silent())
    assert len(caught.value.problems) == 1
    assert not path.exists()
    assert path.with_name(f"{path.name}.damaged").exists()
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_archive_is_told(tmp_path):
    (tmp_path / "page.zip").write_text("<html>please log in</html>")
    with pytest.raises(BenchError, match=r"page\.zip: not a whole zip or tar archive"):
        unpack(tmp_path / "page.zip", tmp_path / "out", Silent())


def test_a_file_where_a_folder_is_needed_is_told(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "top").write_text("a file")
    with pytest.raises(BenchError, match=r"cannot unpack .*: File exists"):
        unpack(archives(tmp_path)[0], tmp_path / "out", Silent())
