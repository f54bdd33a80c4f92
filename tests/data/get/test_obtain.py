import http.server
import io
import json
import re
import shutil
import socket
import tarfile
import threading
import zipfile
from functools import partial

import pytest

from bench.base.errors import BenchError
from bench.base.files import file_digest
from bench.data.facts import Archive
from bench.data.get.download import file_name, require_free
from bench.data.get.obtain import DOWNLOADS, Patience, Silent, fetch, pending, prepare, unpack

CONTENT = bytes(range(256)) * 4000
HASTE = Patience(timeout_s=5, attempts=3, pause_s=0)
DATED = "Mon, 01 Jan 2024 00:00:00 GMT"


class Notes(Silent):
    def __init__(self):
        self.bytes, self.lines = [], []

    def progress(self, task, done, total):
        self.bytes.append((task, done, total))

    def message(self, text):
        self.lines.append(text)


class Server(http.server.ThreadingHTTPServer):
    """Serves ``content`` as any name; ``requests`` are the Range and If-Range headers that were sent."""

    def __init__(self, content=CONTENT):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.requests = content, '"one"', []
        self.ranges, self.cut_after, self.failures, self.length = True, [], [], True

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is what some tests are about."""

    def url(self, name="data.zip"):
        return f"http://127.0.0.1:{self.server_port}/files/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append((wanted, self.headers.get("If-Range")))
        if server.failures:
            self.send_error(server.failures.pop(0))
            return
        total = len(server.content)
        start = int(re.match(r"bytes=(\d+)-$", wanted)[1]) if wanted else 0
        partly = wanted and server.ranges and self.headers.get("If-Range") in (None, server.etag, DATED)
        if partly and start >= total:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{total}")
            self.end_headers()
            return
        start = start if partly else 0
        self.send_response(206 if partly else 200)
        if partly:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Last-Modified", DATED)
        if server.length:
            self.send_header("Content-Length", str(total - start))
        self.end_headers()
        end = start + server.cut_after.pop(0) if server.cut_after else total
        self.wfile.write(server.content[start:end])


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=partial(running.serve_forever, poll_interval=0.01))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def sha256(content, tmp_path):
    path = tmp_path / "reference"
    path.write_bytes(content)
    return f"sha256:{file_digest(path)}"


def interrupted(server, folder, after=300_000):
    """Leave what a download leaves that was stopped in the middle."""
    server.cut_after = [after]
    with pytest.raises(BenchError, match=f"connection ended after {after} of {len(CONTENT)} bytes"):
        fetch(Archive(server.url()), folder, Silent(), patience=Patience(5, attempts=0, pause_s=0))
    server.requests.clear()
    return folder / "data.zip.part"


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_downloaded_verified_and_reported(server, tmp_path):
    notes = Notes()
    archive = Archive(server.url(), bytes=len(CONTENT), checksum=sha256(CONTENT, tmp_path))
    path = fetch(archive, tmp_path / "new" / "folder", notes, patience=HASTE)
    assert path.read_bytes() == CONTENT
    assert leftovers(path.parent) == ["data.zip"]
    assert notes.bytes[0] == ("data.zip", 0, len(CONTENT))
    assert ("data.zip", len(CONTENT), len(CONTENT)) in notes.bytes
    assert server.requests == [(None, None)]


def test_a_whole_file_is_not_fetched_again(server, tmp_path):
    (tmp_path / "data.zip").write_bytes(CONTENT)
    archive = Archive(server.url(), checksum=sha256(CONTENT, tmp_path))
    assert fetch(archive, tmp_path, Silent()).read_bytes() == CONTENT
    assert server.requests == []


def test_a_file_put_there_by_hand_is_verified_and_never_removed(server, tmp_path):
    (tmp_path / "data.zip").write_bytes(b"other")
    with pytest.raises(BenchError, match=r"data\.zip: expected 1024000 bytes, found 5\. Delete it"):
        fetch(Archive(server.url(), bytes=len(CONTENT)), tmp_path, Silent())
    assert (tmp_path / "data.zip").read_bytes() == b"other"


def test_resuming_asks_for_the_rest_alone(server, tmp_path):
    assert interrupted(server, tmp_path).stat().st_size == 300_000
    assert fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE).read_bytes() == CONTENT
    assert server.requests == [("bytes=300000-", '"one"')]
    assert leftovers(tmp_path) == ["data.zip"]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_tag_the_date_guards_the_rest(server, tmp_path, etag):
    server.etag = etag
    interrupted(server, tmp_path)
    assert fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE).read_bytes() == CONTENT
    assert server.requests == [("bytes=300000-", DATED)]


def test_cut_connections_are_taken_up_within_one_call(server, tmp_path):
    server.cut_after = [100_000, 50_000, 200_000]
    notes = Notes()
    archive = Archive(server.url(), checksum=sha256(CONTENT, tmp_path))
    assert fetch(archive, tmp_path, notes, patience=HASTE).read_bytes() == CONTENT
    assert [sent for sent, _ in server.requests] == [None, "bytes=100000-", "bytes=150000-", "bytes=350000-"]
    assert "the connection ended after 100000 of 1024000 bytes; trying again" in notes.lines[0]


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    interrupted(server, tmp_path)
    server.ranges = False
    assert fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE).read_bytes() == CONTENT
    assert server.requests == [("bytes=300000-", '"one"')]


def test_a_server_without_ranges_that_always_cuts_is_given_up(server, tmp_path):
    server.ranges, server.cut_after = False, [100_000] * 20
    with pytest.raises(BenchError, match="connection ended after 100000"):
        fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE)
    assert len(server.requests) == 1 + HASTE.attempts


def test_a_changed_file_is_fetched_anew(server, tmp_path):
    interrupted(server, tmp_path)
    server.etag, server.content = '"two"', CONTENT[::-1]
    assert fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("change", ["etag", "size"])
def test_a_server_that_goes_on_with_another_file_is_not_believed(server, tmp_path, change):
    part = interrupted(server, tmp_path)
    memo = part.with_name("data.zip.part.json")
    known = json.loads(memo.read_text())
    if change == "etag":  # the server answers to the date and leaves it to us to see that the tag is another
        memo.write_text(json.dumps({**known, "etag": 'W/"zero"'}))
    else:
        server.content = CONTENT + b"longer"
    got = fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE)
    assert got.read_bytes() == server.content
    assert [sent for sent, _ in server.requests] == ["bytes=300000-", None]


def test_a_part_of_unknown_origin_is_not_added_to(server, tmp_path):
    (tmp_path / "data.zip.part").write_bytes(b"?" * 1000)
    assert fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE).read_bytes() == CONTENT
    assert server.requests == [(None, None)]


def test_a_part_that_is_whole_already_only_gets_its_name(server, tmp_path):
    part = interrupted(server, tmp_path)
    part.write_bytes(CONTENT)
    assert fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE).read_bytes() == CONTENT
    assert server.requests == [(f"bytes={len(CONTENT)}-", '"one"')]


def test_a_part_that_is_too_long_is_dropped(server, tmp_path):
    interrupted(server, tmp_path).write_bytes(CONTENT + b"more")
    assert fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE).read_bytes() == CONTENT


def test_a_file_without_a_told_length_is_taken_to_its_end(server, tmp_path):
    server.length = False
    assert fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE).read_bytes() == CONTENT


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_a_wrong_checksum_removes_the_file_and_tells_both(server, tmp_path, algorithm):
    archive = Archive(server.url(), checksum=f"{algorithm}:00ff")
    with pytest.raises(BenchError, match=rf"{algorithm} expected 00ff, found [0-9a-f]{{32,64}}; the file was removed"):
        fetch(archive, tmp_path, Silent(), patience=HASTE)
    assert leftovers(tmp_path) == []


def test_another_size_than_published_is_told_before_the_download(server, tmp_path):
    notes = Notes()
    with pytest.raises(BenchError, match="expected 7 bytes, the server has 1024000"):
        fetch(Archive(server.url(), bytes=7), tmp_path, notes, patience=HASTE)
    assert notes.bytes == []
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(("code", "n_requests"), [(404, 1), (403, 1), (503, 3), (429, 3)])
def test_refusals_name_the_address_and_where_to_put_the_file(server, tmp_path, code, n_requests):
    server.failures = [code] * 10
    with pytest.raises(BenchError) as caught:
        fetch(Archive(server.url("a%20b.zip?x=1")), tmp_path, Silent(), patience=HASTE)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{server.url('a%20b.zip?x=1')}: HTTP {code} ")
    assert problem.endswith(f"fetch the file by other means and put it at {tmp_path / 'a b.zip'}")
    assert "\n" not in problem
    assert len(server.requests) == n_requests


def test_a_passing_failure_is_tried_again(server, tmp_path):
    server.failures = [503, 500]
    assert fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE).read_bytes() == CONTENT


def test_no_network_is_one_clear_sentence(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/data.zip"
        with pytest.raises(BenchError) as caught:
            fetch(Archive(url), tmp_path, Silent(), patience=HASTE)
    expected = f"{url}: Connection refused. Either try a --mirror, or fetch the file by other means and put it at "
    assert str(caught.value) == f"{expected}{tmp_path / 'data.zip'}"


def test_ctrl_c_keeps_what_is_there(server, tmp_path):
    class Impatient(Silent):
        def progress(self, task, done, total):
            if done > 400_000:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(Archive(server.url()), tmp_path, Impatient(), patience=HASTE)
    kept = (tmp_path / "data.zip.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    assert fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE).read_bytes() == CONTENT
    assert server.requests[1][0] == f"bytes={kept}-"


def test_file_addresses_and_mirrors(tmp_path):
    mirror = tmp_path / "my mirror"
    mirror.mkdir()
    (mirror / "data.zip").write_bytes(CONTENT)
    for number, given in enumerate((str(mirror), mirror.as_uri(), mirror.as_uri() + "/")):
        archive = Archive("https://publisher.invalid/deep/data.zip?download=1")
        path = fetch(archive, tmp_path / str(number), Silent(), mirror=given, patience=HASTE)
        assert path.read_bytes() == CONTENT
    with pytest.raises(BenchError, match=r"absent\.zip: No such file"):
        fetch(Archive((mirror / "absent.zip").as_uri()), tmp_path, Silent(), patience=HASTE)


@pytest.mark.parametrize("url", ["nonsense", "ftpx://host/file.zip"])
def test_what_is_no_address_is_told(tmp_path, url):
    with pytest.raises(BenchError, match="unknown url type"):
        fetch(Archive(url), tmp_path, Silent(), patience=HASTE)


def test_names_of_files():
    assert file_name(Archive("https://host/a/b%20c.tar.gz?x=1#y")) == "b c.tar.gz"
    assert file_name(Archive("https://host/")) == "host"


def test_too_little_space_is_told_before(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1000))
    with pytest.raises(BenchError, match="not enough disk space"):
        fetch(Archive(server.url()), tmp_path, Silent(), patience=HASTE)
    require_free(tmp_path / "not" / "there", 1000)


def make_zip(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


MEMBERS = {"top/a.txt": b"a", "top/deep/b.txt": b"b" * 5000, "list.txt": b"c"}


def archives(tmp_path, members=MEMBERS):
    return [
        make_zip(tmp_path / "x.zip", members),
        make_tar(tmp_path / "x.tar", members),
        make_tar(tmp_path / "x.tgz", members, "w:gz"),
        make_tar(tmp_path / "x.tar.xz", members, "w:xz"),
    ]


def content_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
