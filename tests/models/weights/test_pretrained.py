from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.base.errors import BenchError
from bench.models.base import build_model
from bench.models.weights.pretrained import Pretrained, PublishedFile
from tests import hub
from tests.downloads import CONTENT, Server, serving


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.use_own_caches(tmp_path, monkeypatch)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def refused(file: PublishedFile) -> str:
    with pytest.raises(BenchError) as caught:
        file.fetch()
    (problem,) = caught.value.problems
    assert "\n" not in problem
    return problem


def test_a_file_is_fetched_once_and_its_digits_are_checked(server: Server) -> None:
    name = f"net-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
    file = PublishedFile(server.url(name), name)
    assert file.missing() == f"{name} is not here: fetch {file.url} and put it at {file.path}"
    file.fetch()
    file.fetch()
    assert file.missing() == ""
    assert file.path.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_download_with_another_digest_is_not_kept(server: Server) -> None:
    file = PublishedFile(server.url("net-00000000.pth"), "net-00000000.pth")
    told = refused(file)
    assert told.startswith(f"{file.missing()} (the download failed: sha256 expected 00000000, found ")
    assert not file.path.exists()


def test_a_date_in_a_name_is_no_digest(server: Server) -> None:
    file = PublishedFile(server.url("net-20240131.pth"), "net-20240131.pth")
    file.fetch()
    assert file.path.read_bytes() == CONTENT


def test_a_digest_that_is_told_is_checked_wherever_the_file_comes_from(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, right = "0" * 64, hashlib.sha256(CONTENT).hexdigest()
    assert f"sha256 expected {wrong}" in refused(PublishedFile(server.url("net.pth"), "net.pth", sha256=wrong))
    url = "https://huggingface.co/owner/name/resolve/main/net.pth"
    with hub.serving() as running:
        hub.use_hub(running.url, monkeypatch)
        running.files["owner/name/net.pth"] = CONTENT
        assert f"sha256 expected {wrong}, found {right}" in refused(PublishedFile(url, "hub.pth", sha256=wrong))
        PublishedFile(url, "hub.pth", sha256=right).fetch()


def test_an_interrupted_download_goes_on(server: Server) -> None:
    file = PublishedFile(server.url("net.pth"), "net.pth")
    server.cut_after = [1000, *[0] * 9]
    assert "the next one goes on after 1000 bytes)" in refused(file)
    server.cut_after = []
    file.fetch()
    assert server.requests[-1][0] == "bytes=1000-"
    assert file.path.read_bytes() == CONTENT


def test_without_a_network_one_sentence_tells_what_to_do_soon() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/net.pth"
        file = PublishedFile(url, "net.pth")
        begin = time.monotonic()
        told = refused(file)
    assert (
        told == f"net.pth is not here: fetch {url} and put it at {file.path} (the download failed: Connection refused)"
    )
    assert time.monotonic() - begin < 5


def test_two_that_need_one_file_fetch_it_once(server: Server) -> None:
    file = PublishedFile(server.url("net.pth"), "net.pth")
    threads = [threading.Thread(target=file.fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.path.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_cache_that_cannot_be_written_to_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("")
    assert "the download failed: Not a directory" in refused(PublishedFile(server.url("net.pth"), "net.pth"))


def test_files_of_the_hub_go_through_its_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PublishedFile("https://huggingface.co/owner/name/resolve/main/net-20240101.pth", "owner--name--net.pth")
    assert file.missing() == (
        f"net-20240101.pth of owner/name is not here: fetch {file.url} and put it at "
        f"{tmp_path / 'hub' / 'checkpoints' / 'owner--name--net.pth'}"
    )
    with hub.serving() as running:
        hub.use_hub(running.url, monkeypatch)
        assert refused(file) == f"{file.missing()} (the download failed: owner/name has no file net-20240101.pth)"
        running.files["owner/name/net-20240101.pth"] = CONTENT
        file.fetch()
        n_requests = len(running.requests)
        file.fetch()
        assert len(running.requests) == n_requests
    assert file.missing() == ""
    assert file.path.is_relative_to(tmp_path / "hf")
    assert file.path.read_bytes() == CONTENT


def test_a_file_of_the_hub_that_was_put_there_by_hand_is_taken(tmp_path: Path) -> None:
    file = PublishedFile("https://huggingface.co/owner/name/resolve/main/net.pth", "owner--name--net.pth")
    by_hand = tmp_path / "hub" / "checkpoints" / "owner--name--net.pth"
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(CONTENT)
    file.fetch()
    assert (file.path, file.missing()) == (by_hand, "")


def test_pretrained_weights_are_loaded_into_their_part(tmp_path: Path) -> None:
    donor, model = (build_model("tiny_fpn_8", 3, {}) for _ in range(2))
    torch.save({f"module.{name}": value for name, value in donor.stem.state_dict().items()}, tmp_path / "stem.pth")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "stem.pth").rename(tmp_path / "hub" / "checkpoints" / "stem.pth")
    source = Pretrained("stem", "https://example.org/stem.pth", "stem.pth")
    assert source.missing() == ""
    source.load(model)
    assert all(torch.equal(a, b) for a, b in zip(donor.stem.parameters(), model.stem.parameters(), strict=True))
    absent = Pretrained("stem", "https://example.org/other.pth", "other.pth")
    assert absent.missing().endswith("or set pretrained: false")
