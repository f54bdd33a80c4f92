"""What tests of downloads and archives share: a server that fails as asked, archives, what a folder holds."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from bench.base.download import Patience
from bench.base.progress import Silent

CONTENT = bytes(range(256)) * 4000
HASTE = Patience(timeout_s=5, attempts=3, pause_s=0)
DATED = "Mon, 01 Jan 2024 00:00:00 GMT"


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.bytes: list[tuple[str, int, int | None]] = []
        self.lines: list[str] = []

    def progress(self, task: str, done: int, total: int | None) -> None:
        self.bytes.append((task, done, total))

    def message(self, text: str) -> None:
        self.lines.append(text)


class Server(http.server.ThreadingHTTPServer):
    """Serves ``content`` as any name; ``requests`` are the Range and If-Range headers that were sent."""

    def __init__(self, content: bytes = CONTENT) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag = content, '"one"'
        self.requests: list[tuple[str | None, str | None]] = []
        self.ranges, self.length = True, True
        self.cut_after: list[int] = []
        self.failures: list[int] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is what some tests are about."""

    def url(self, name: str = "data.zip") -> str:
        return f"http://127.0.0.1:{self.server_port}/files/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the server's content, whole or from where it is asked to go on."""

    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
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


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run a server while the block runs."""
    with Server() as running:
        thread = threading.Thread(target=partial(running.serve_forever, poll_interval=0.01))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def make_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
