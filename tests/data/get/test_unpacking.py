import contextlib
import gzip
import io
import tarfile

import pytest

from bench.base.errors import BenchError
from bench.base.progress import Silent
from bench.data.get.unpacking import GROWTH, LEAST_BYTES, unpack
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


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


def tar_of(path, *members, mode="w"):
    """Write members, files with zeros of the size that they tell."""
    with tarfile.open(path, mode) as archive:
        for made in members:
            archive.addfile(made, io.BytesIO(bytes(made.size)) if made.isreg() else None)
    return path


def refused(path, folder, **given):
    with pytest.raises(BenchError) as caught:
        unpack(path, folder, Silent(), **given)
    (problem,) = caught.value.problems
    assert list(folder.iterdir()) == [], "nothing is left behind"
    return problem


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x.tar.xz", "x.tar.bz2"])
def test_an_archive_that_grows_far_beyond_its_size_is_refused(tmp_path, name):
    content, path = bytes(LEAST_BYTES + 1), tmp_path / name
    made = {"a.bin": content[: 2**25], "deep/b.bin": content[2**25 :]}
    make_zip(path, made) if name == "x.zip" else make_tar(path, made, f"w:{name.rpartition('.')[2]}")
    size = path.stat().st_size
    assert size < LEAST_BYTES / GROWTH
    assert f"refused, as it unpacks to more than {LEAST_BYTES} bytes, {size} are packed" in refused(
        path, tmp_path / "o"
    )
    unpack(path, tmp_path / "out", Silent(), most_bytes=len(content) + 1024)
    assert {key: len(value) for key, value in content_of(tmp_path / "out").items()} == {
        key: len(value) for key, value in made.items()
    }


@pytest.mark.parametrize("kind", range(4))
def test_a_dataset_may_tell_how_much_its_files_take(tmp_path, kind):
    path = archives(tmp_path, {"a": b"a" * 3000, "b": b"b" * 3000})[kind]
    assert "more than 5999 bytes" in refused(path, tmp_path / "no", most_bytes=5999)
    assert unpack(path, tmp_path / "out", Silent(), most_bytes=6000).n_new == 2


def test_a_zip_whose_headers_lie_writes_no_more_than_they_tell(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"a": bytes(10_000_000)})
    whole = path.read_bytes()
    path.write_bytes(whole.replace((10_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    assert "not a whole zip or tar archive" in refused(path, tmp_path / "out")


def test_many_empty_members_count_as_well(tmp_path):
    path = make_zip(tmp_path / "x.zip", {f"{index}": b"" for index in range(100)})
    assert "unpacks to more than" in refused(path, tmp_path / "out", most_bytes=50_000)


def test_what_comes_after_the_last_member_is_bounded(tmp_path):
    path = tmp_path / "x.tar.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(40):
            file.write(bytes(2**20))
    assert "unpacks to more than" in refused(path, tmp_path / "out", most_bytes=2**20)


def test_a_header_that_is_longer_than_any_is_not_read_into_memory(tmp_path):
    header = member("long", tarfile.GNUTYPE_LONGNAME)
    header.size = 2**40
    with gzip.open(tmp_path / "x.tar.gz", "wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(2**20))
    assert "unpacks to more than" in refused(tmp_path / "x.tar.gz", tmp_path / "out")


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([member("/evil.txt")], "would leave the folder ('/evil.txt')"),
        ([member("a/../../evil.txt")], "would leave the folder"),
        ([member("a\\..\\..\\evil.txt")], "would leave the folder"),
        ([member("null", tarfile.CHRTYPE)], "its member 'null' is no file, folder or link"),
        ([member("pipe", tarfile.FIFOTYPE)], "its member 'pipe' is no file, folder or link"),
        ([member("a", tarfile.SYMTYPE, "/etc/passwd")], "refused"),
        ([member("a", tarfile.SYMTYPE, "../../x")], "refused"),
        ([member("a", tarfile.SYMTYPE, "absent")], "its link 'a' leads to no file or folder inside of it"),
        ([member("a", tarfile.SYMTYPE, "a")], "its link 'a' leads to no file or folder inside of it"),
        ([member("d", tarfile.DIRTYPE), member("a", tarfile.SYMTYPE, "d"), member("a/b")], "leave the folder ('a/b')"),
        ([member("b"), member("a", tarfile.SYMTYPE, "b"), member("a")], "would leave the folder ('a')"),
        ([member("a", tarfile.LNKTYPE, "/etc/passwd")], "would leave the folder ('a')"),
        ([member("a", tarfile.LNKTYPE, "../x")], "would leave the folder ('a')"),
        ([member("a", tarfile.LNKTYPE, "absent")], "its link 'a' leads to no file that came before it"),
        ([member("out", tarfile.SYMTYPE, "d/e/up/../x"), member("d/e", tarfile.DIRTYPE),
          member("d/e/up", tarfile.SYMTYPE, "../..")], "its link 'out' leads to no file or folder inside of it"),
    ],
)  # fmt: skip
def test_members_that_are_no_plain_ones_are_refused(tmp_path, members, told):
    assert told in refused(tar_of(tmp_path / "x.tar", *members), tmp_path / "deep" / "out")
    assert content_of(tmp_path / "deep") == {}


@pytest.mark.parametrize("field", [{"path": "a\0b"}, {"mtime": str(2**80)}, {"mtime": "nan"}])
def test_names_and_times_that_no_file_can_have_are_told(tmp_path, field):
    made = member("a")
    made.pax_headers = field
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(made)
    with contextlib.suppress(BenchError):  # one library takes what another refuses; nothing else is raised
        unpack(tmp_path / "x.tar", tmp_path / "out", Silent())


def test_links_inside_an_archive_are_kept(tmp_path):
    made = [
        member("d/a.txt", size=3),
        member("d/hard.txt", tarfile.LNKTYPE, "d/a.txt"),
        member("d/soft.txt", tarfile.SYMTYPE, "a.txt"),
        member("again", tarfile.SYMTYPE, "d"),
    ]
    unpack(tar_of(tmp_path / "x.tar", *made), tmp_path / "out", Silent())
    assert (tmp_path / "out" / "again" / "soft.txt").read_bytes() == bytes(3)
    assert (tmp_path / "out" / "d" / "hard.txt").read_bytes() == bytes(3)


@pytest.mark.parametrize("name", ["top", "top/deep"])
@pytest.mark.parametrize("kind", range(4))
def test_a_link_in_place_of_a_folder_is_not_unpacked_through(tmp_path, kind, name):
    link, elsewhere = tmp_path / "out" / name, tmp_path / "elsewhere"
    elsewhere.mkdir()
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    with pytest.raises(BenchError, match=f"{link} is a link, and nothing is unpacked through it"):
        unpack(archives(tmp_path)[kind], tmp_path / "out", Silent())
    assert list(elsewhere.iterdir()) == []
    assert content_of(tmp_path / "out") == {}


@pytest.mark.parametrize("kind", range(4))
def test_a_link_in_place_of_a_file_stays_as_it_is(tmp_path, kind):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "list.txt").symlink_to(tmp_path / "victim")
    done = unpack(archives(tmp_path)[kind], tmp_path / "out", Silent())
    assert (done.n_new, done.n_kept) == (2, 1)
    assert not (tmp_path / "victim").exists()
