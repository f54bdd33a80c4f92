import hashlib
import json
import shutil
import urllib.request

import pytest

from bench.base.download import DownloadFailed, Patience, Remote, download
from bench.base.errors import BenchError
from bench.base.files import file_digest
from bench.base.progress import Silent
from tests.downloads import CONTENT, DATED, HASTE, Notes, serving


@pytest.fixture
def server():
    with serving() as running:
        yield running


def fetched(source, folder, report=None, patience=HASTE):
    path = folder / "data.zip"
    download(source, path, report or Silent(), patience)
    return path


def sha256(content, tmp_path):
    path = tmp_path / "reference"
    path.write_bytes(content)
    return f"sha256:{file_digest(path)}"


def interrupted(server, folder, after=300_000):
    """Leave what a download leaves that was stopped in the middle."""
    server.cut_after = [after]
    with pytest.raises(DownloadFailed, match=f"connection ended after {after} of {len(CONTENT)} bytes"):
        fetched(Remote(server.url()), folder, patience=Patience(5, attempts=0, pause_s=0))
    server.requests.clear()
    return folder / "data.zip.part"


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_downloaded_verified_and_reported(server, tmp_path):
    notes = Notes()
    source = Remote(server.url(), bytes=len(CONTENT), checksum=sha256(CONTENT, tmp_path))
    path = fetched(source, tmp_path / "new" / "folder", notes)
    assert path.read_bytes() == CONTENT
    assert leftovers(path.parent) == ["data.zip"]
    assert notes.bytes[0] == ("data.zip", 0, len(CONTENT))
    assert ("data.zip", len(CONTENT), len(CONTENT)) in notes.bytes
    assert server.requests == [(None, None)]


def test_resuming_asks_for_the_rest_alone(server, tmp_path):
    assert interrupted(server, tmp_path).stat().st_size == 300_000
    assert fetched(Remote(server.url()), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("bytes=300000-", '"one"')]
    assert leftovers(tmp_path) == ["data.zip"]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_tag_the_date_guards_the_rest(server, tmp_path, etag):
    server.etag = etag
    interrupted(server, tmp_path)
    assert fetched(Remote(server.url()), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("bytes=300000-", DATED)]


def test_cut_connections_are_taken_up_within_one_call(server, tmp_path):
    server.cut_after = [100_000, 50_000, 200_000]
    notes = Notes()
    source = Remote(server.url(), checksum=sha256(CONTENT, tmp_path))
    assert fetched(source, tmp_path, notes).read_bytes() == CONTENT
    assert [sent for sent, _ in server.requests] == [None, "bytes=100000-", "bytes=150000-", "bytes=350000-"]
    assert "the connection ended after 100000 of 1024000 bytes; trying again" in notes.lines[0]


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    interrupted(server, tmp_path)
    server.ranges = False
    assert fetched(Remote(server.url()), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("bytes=300000-", '"one"')]


def test_a_server_without_ranges_that_always_cuts_is_given_up(server, tmp_path):
    server.ranges, server.cut_after = False, [100_000] * 20
    with pytest.raises(DownloadFailed, match="connection ended after 100000"):
        fetched(Remote(server.url()), tmp_path)
    assert len(server.requests) == 1 + HASTE.attempts


def test_a_changed_file_is_fetched_anew(server, tmp_path):
    interrupted(server, tmp_path)
    server.etag, server.content = '"two"', CONTENT[::-1]
    assert fetched(Remote(server.url()), tmp_path).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("change", ["etag", "size"])
def test_a_server_that_goes_on_with_another_file_is_not_believed(server, tmp_path, change):
    part = interrupted(server, tmp_path)
    memo = part.with_name("data.zip.part.json")
    known = json.loads(memo.read_text())
    if change == "etag":  # the server answers to the date and leaves it to us to see that the tag is another
        memo.write_text(json.dumps({**known, "etag": 'W/"zero"'}))
    else:
        server.content = CONTENT + b"longer"
    got = fetched(Remote(server.url()), tmp_path)
    assert got.read_bytes() == server.content
    assert [sent for sent, _ in server.requests] == ["bytes=300000-", None]


def test_a_part_of_unknown_origin_is_not_added_to(server, tmp_path):
    (tmp_path / "data.zip.part").write_bytes(b"?" * 1000)
    assert fetched(Remote(server.url()), tmp_path).read_bytes() == CONTENT
    assert server.requests == [(None, None)]


def test_a_link_in_place_of_a_part_is_not_followed(server, tmp_path):
    part, victim = interrupted(server, tmp_path), tmp_path / "victim"
    part.rename(victim)
    part.symlink_to(victim)
    before = victim.read_bytes()
    with pytest.raises(BenchError, match="Too many levels of symbolic links"):
        fetched(Remote(server.url()), tmp_path)
    assert victim.read_bytes() == before


def test_a_part_that_is_whole_already_only_gets_its_name(server, tmp_path):
    part = interrupted(server, tmp_path)
    part.write_bytes(CONTENT)
    assert fetched(Remote(server.url()), tmp_path).read_bytes() == CONTENT
    assert server.requests == [(f"bytes={len(CONTENT)}-", '"one"')]


def test_a_part_that_is_too_long_is_dropped(server, tmp_path):
    interrupted(server, tmp_path).write_bytes(CONTENT + b"more")
    assert fetched(Remote(server.url()), tmp_path).read_bytes() == CONTENT


def test_a_file_without_a_told_length_is_taken_to_its_end(server, tmp_path):
    server.length = False
    assert fetched(Remote(server.url()), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_a_wrong_checksum_removes_the_file_and_tells_both(server, tmp_path, algorithm):
    source = Remote(server.url(), checksum=f"{algorithm}:00ff")
    with pytest.raises(
        DownloadFailed, match=rf"{algorithm} expected 00ff, found [0-9a-f]{{32,64}}; the file was removed"
    ):
        fetched(source, tmp_path)
    assert leftovers(tmp_path) == []


def test_the_first_digits_of_a_digest_are_enough(server, tmp_path):
    digits = sha256(CONTENT, tmp_path)[: len("sha256:") + 8]
    assert fetched(Remote(server.url(), checksum=digits), tmp_path).read_bytes() == CONTENT


def test_a_failure_tells_what_is_kept(server, tmp_path):
    server.cut_after = [1000]
    with pytest.raises(DownloadFailed) as caught:
        fetched(Remote(server.url()), tmp_path, patience=Patience(5, attempts=0, pause_s=0))
    assert caught.value.kept_bytes == 1000
    server.failures = [404]
    with pytest.raises(DownloadFailed) as caught:
        fetched(Remote(server.url("other.zip")), tmp_path / "elsewhere")
    assert caught.value.kept_bytes == 0


def test_a_place_that_cannot_be_written_to_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match=r"cannot write .*data\.zip: .*What is there is kept"):
        fetched(Remote(server.url()), tmp_path / "file")


def test_another_size_than_published_is_told_before_the_download(server, tmp_path):
    notes = Notes()
    with pytest.raises(DownloadFailed, match="expected 7 bytes, the server has 1024000"):
        fetched(Remote(server.url(), bytes=7), tmp_path, notes)
    assert notes.bytes == []
    assert leftovers(tmp_path) == []


def test_a_passing_failure_is_tried_again(server, tmp_path):
    server.failures = [503, 500]
    assert fetched(Remote(server.url()), tmp_path).read_bytes() == CONTENT


def test_ctrl_c_keeps_what_is_there(server, tmp_path):
    class Impatient(Silent):
        def progress(self, task, done, total):
            if done > 400_000:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetched(Remote(server.url()), tmp_path, Impatient())
    kept = (tmp_path / "data.zip.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    assert fetched(Remote(server.url()), tmp_path).read_bytes() == CONTENT
    assert server.requests[1][0] == f"bytes={kept}-"


@pytest.mark.parametrize("url", ["nonsense", "ftpx://host/file.zip"])
def test_what_is_no_address_is_told(tmp_path, url):
    with pytest.raises(DownloadFailed, match="unknown url type"):
        fetched(Remote(url), tmp_path)


def test_too_little_space_is_told_before(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1000))
    with pytest.raises(BenchError, match="not enough disk space"):
        fetched(Remote(server.url()), tmp_path)


def test_a_server_that_never_ends_leaves_room_on_the_disk(server, tmp_path, monkeypatch):
    server.length = False
    monkeypatch.setattr("bench.base.download._WATCH_EVERY", 2**18)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**31, 2**30 + 1, 2**30 - 1))
    with pytest.raises(BenchError, match="not enough disk space"):
        fetched(Remote(server.url()), tmp_path)
    assert (tmp_path / "data.zip.part").stat().st_size < len(CONTENT)


def test_an_address_that_leads_to_one_without_encryption_is_refused_unless_a_digest_is_known(
    server, tmp_path, monkeypatch
):
    def leading_on(request, timeout):
        request.full_url = server.url()
        return real(request, timeout=timeout)

    real = urllib.request.urlopen
    monkeypatch.setattr(urllib.request, "urlopen", leading_on)
    url = "https://127.0.0.1/data.zip"
    with pytest.raises(DownloadFailed, match=r"leads on to http://.*, which comes without encryption"):
        fetched(Remote(url), tmp_path)
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    assert fetched(Remote(url, checksum=checksum), tmp_path).read_bytes() == CONTENT
