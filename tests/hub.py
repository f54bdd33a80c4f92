"""A stand-in for the Hugging Face hub, and folders of a test's own for what is fetched."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.ThreadingHTTPServer):
    """Serves ``files`` by ``OWNER/NAME/PATH``; ``refusal`` is a status and an error code that it answers with instead.

    ``requests`` are the methods and paths that were asked for.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.refusal: tuple[int, str] | None = None
        self.requests: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does for files that are kept in git."""

    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(None)

    def _answer(self, body: bytes | None) -> None:
        self.server.requests.append((self.command, self.path))
        repository, _, rest = self.path.strip("/").partition("/resolve/")
        content = self.server.files.get(f"{repository}/{rest.partition('/')[2]}")
        status, code = self.server.refusal or ((404, "EntryNotFound") if content is None else (200, ""))
        content = b"" if status != 200 or content is None else content
        self.send_response(status)
        self.send_header("X-Repo-Commit", COMMIT)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("ETag", f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if body is None else body)


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    """Run a hub while the block runs."""
    with Hub() as running:
        thread = threading.Thread(target=partial(running.serve_forever, poll_interval=0.01))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def use_hub(url: str, patch: pytest.MonkeyPatch) -> None:
    """Let the hub's client ask another server."""
    patch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    patch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    patch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)  # up to 0.26


def use_own_caches(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Keep what is fetched in a folder: torch's files under ``hub``, those of the Hugging Face hub under ``hf``."""
    patch.setattr(torch.hub, "_hub_dir", str(folder / "hub"))
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "hf"))
