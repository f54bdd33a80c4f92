import socket

import pytest

from bench.base.download import Patience
from bench.base.errors import BenchError
from bench.base.files import file_digest
from bench.base.progress import Silent
from bench.data.facts import Archive
from bench.data.get.download import fetch, file_name
from tests.downloads import CONTENT, HASTE, serving


@pytest.fixture
def server():
    with serving() as running:
        yield running


def test_a_whole_file_is_not_fetched_again(server, tmp_path):
    (tmp_path / "data.zip").write_bytes(CONTENT)
    archive = Archive(server.url(), checksum=f"sha256:{file_digest(tmp_path / 'data.zip')}")
    assert fetch(archive, tmp_path, Silent()).read_bytes() == CONTENT
    assert server.requests == []


def test_a_file_put_there_by_hand_is_verified_and_never_removed(server, tmp_path):
    (tmp_path / "data.zip").write_bytes(b"other")
    with pytest.raises(BenchError, match=r"data\.zip: expected 1024000 bytes, found 5\. Delete it"):
        fetch(Archive(server.url(), bytes=len(CONTENT)), tmp_path, Silent())
    assert (tmp_path / "data.zip").read_bytes() == b"other"


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


def test_an_interruption_tells_how_to_go_on(server, tmp_path):
    server.cut_after = [1000]
    with pytest.raises(BenchError) as caught:
        fetch(Archive(server.url()), tmp_path, Silent(), patience=Patience(5, attempts=0, pause_s=0))
    assert "Either run the same command again, which goes on after 1000 bytes, or fetch the file" in str(caught.value)


def test_no_network_is_one_clear_sentence(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/data.zip"
        with pytest.raises(BenchError) as caught:
            fetch(Archive(url), tmp_path, Silent(), patience=HASTE)
    expected = f"{url}: Connection refused. Either try a --mirror, or fetch the file by other means and put it at "
    assert str(caught.value) == f"{expected}{tmp_path / 'data.zip'}"


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


def test_names_of_files():
    assert file_name(Archive("https://host/a/b%20c.tar.gz?x=1#y")) == "b c.tar.gz"
    assert file_name(Archive("https://host/")) == "host"
