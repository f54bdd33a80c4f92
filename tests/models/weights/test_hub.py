from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from bench.base.download import DownloadFailed
from bench.models.weights.hub import HubFile
from tests.hub import COMMIT, Hub, serving, use_hub, use_own_caches


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_own_caches(tmp_path, monkeypatch)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as running:
        use_hub(running.url, monkeypatch)
        running.files["owner/name/sub/w.pth"] = b"weights"
        yield running


FILE = HubFile("owner/name", "sub/w.pth")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://huggingface.co/a/b/resolve/main/c.pth", HubFile("a/b", "c.pth")),
        ("https://huggingface.co/a/b/resolve/main/c/d%20e.pth?download=true", HubFile("a/b", "c/d e.pth")),
        (f"https://huggingface.co/a/b.c/resolve/{COMMIT}/d", HubFile("a/b.c", "d", COMMIT)),
        ("https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/d", HubFile("a/b", "d", "refs/pr/1")),
        ("https://huggingface.co/old/resolve/main/c", HubFile("old", "c")),
        ("https://huggingface.co/datasets/a/resolve/main/c", None),
        ("https://huggingface.co/datasets/a/b/resolve/main/c", None),
        ("https://huggingface.co/a/b/blob/main/c", None),
        ("https://huggingface.co/a/b/resolve/main/../c", None),
        ("https://huggingface.co/a/b/resolve/main/%2e%2e/c", None),
        ("https://huggingface.co/a/b/resolve/main/%2Fetc%2Fc", None),
        ("https://huggingface.co/a/b/resolve/main/c%5C..%5Cd", None),
        ("https://huggingface.co/a/b/resolve/..%2F..%2Fx/c", None),
        ("https://huggingface.co/a/b/resolve/main/c%00", None),
        ("https://huggingface.co/a--b/--/resolve/main/c", None),
        ("https://example.org/a/b/resolve/main/c", None),
    ],
)
def test_addresses_of_the_hub(url: str, expected: HubFile | None) -> None:
    assert HubFile.at(url) == expected


def test_an_address_leads_back_to_its_file() -> None:
    for file in (FILE, HubFile("a/b", "model.safetensors", COMMIT)):
        assert HubFile.at(file.url) == file


def test_a_file_is_fetched_into_the_hubs_cache_and_found_without_a_network(hub: Hub, tmp_path: Path) -> None:
    assert FILE.cached() is None
    assert hub.requests == []
    FILE.fetch()
    path = tmp_path / "hf" / "models--owner--name" / "snapshots" / COMMIT / "sub" / "w.pth"
    n_requests = len(hub.requests)
    assert FILE.cached() == path
    assert HubFile("owner/name", "sub/w.pth", COMMIT).cached() == path
    assert path.read_bytes() == b"weights"
    assert len(hub.requests) == n_requests
    assert HubFile("owner/name", "other.pth").cached() is None


def test_nothing_is_printed(hub: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    hub.files["owner/name/sub/w.pth"] = b"w" * 2**22
    FILE.fetch()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (404, "EntryNotFound", "owner/name has no file sub/w.pth"),
        (404, "RevisionNotFound", "owner/name has no revision main"),
        (404, "RepoNotFound", "the hub has no owner/name for you; where it is private, run `hf auth login`"),
        (401, "RepoNotFound", "the hub has no owner/name for you; where it is private, run `hf auth login`"),
        (403, "GatedRepo", "its owner grants access at https://huggingface.co/owner/name; then run `hf auth login`"),
    ],
)
def test_refusals_are_told_in_a_sentence(hub: Hub, status: int, code: str, reason: str) -> None:
    hub.refusal = (status, code)
    with pytest.raises(DownloadFailed) as caught:
        FILE.fetch()
    assert str(caught.value) == reason
    assert FILE.cached() is None


def test_a_failing_hub_is_told_in_one_line(hub: Hub) -> None:
    hub.refusal = (503, "")
    with pytest.raises(DownloadFailed, match="503") as caught:
        FILE.fetch()
    assert "\n" not in str(caught.value)


def test_the_offline_switch_is_honoured(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadFailed, match=r"^HF_HUB_OFFLINE is set$"):
        FILE.fetch()
    assert hub.requests == []


def test_a_hub_out_of_reach_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        use_hub(f"http://127.0.0.1:{free.getsockname()[1]}", monkeypatch)
        begin = time.monotonic()
        with pytest.raises(DownloadFailed, match="refused"):
            FILE.fetch()
    assert time.monotonic() - begin < 5
