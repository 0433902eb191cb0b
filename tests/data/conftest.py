"""A folder of small MNIST-named files, and a real server on 127.0.0.1 with real faults."""

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from evenkeel.data import write_idx


@pytest.fixture(scope="session")
def real_mnist(shared: Path) -> Path:
    folder = shared / "data" / "mnist"
    if not folder.is_dir():
        pytest.skip("there is no folder `shared/data/mnist` beside the checkout")
    return folder


@pytest.fixture
def write_mnist(tmp_path: Path) -> Callable[..., Path]:
    """Writes four files of ``train`` and ``test`` images whose pixels are random, labels cyclic."""

    def write(train: int = 24, test: int = 6, *, suffix: str = "", dot: str = "-") -> Path:
        random = np.random.RandomState(1)
        for split, count in (("train", train), ("t10k", test)):
            images = random.randint(0, 256, (count, 28, 28)).astype(np.uint8)
            labels = (np.arange(count) % 10).astype(np.uint8)
            write_idx(tmp_path / f"{split}-images{dot}idx3-ubyte{suffix}", images)
            write_idx(tmp_path / f"{split}-labels{dot}idx1-ubyte{suffix}", labels)
        return tmp_path

    return write


class Server(ThreadingHTTPServer):
    """Serves ``files``; the first part of a path names the way: see the table WAYS."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.log: list[tuple[str, str]] = []  # way, Range
        self.halfway, self.go_on = threading.Event(), threading.Event()

    def url(self, way: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{way}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = cast(Server, self.server)
        _, way, name = self.path.split("/")
        asked = self.headers.get("Range", "")
        server.log.append((way, asked))
        place = re.fullmatch(r"bytes=(\d+)-", asked)
        WAYS[way](self, server.files[name], int(place[1]) if place else 0)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output quiet."""

    def reply(self, body: bytes, start: int, *, sent: int | None = None, shift: int = 0) -> None:
        """Answer with the body from ``start`` on, of which only ``sent`` bytes are really sent."""
        rest = body[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start + shift}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[:sent])


def _flip(body: bytes) -> bytes:
    return bytes(byte ^ 1 for byte in body)


def _pause(handler: Handler, body: bytes, start: int) -> None:
    server = cast(Server, handler.server)
    half = len(body) // 2
    handler.reply(body, start, sent=half)
    server.halfway.set()
    server.go_on.wait(60)
    handler.wfile.write(body[half:])


def _silent(handler: Handler, body: bytes, start: int) -> None:
    cast(Server, handler.server).go_on.wait(60)


def _endless(handler: Handler, body: bytes, _: int) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(body + body)


def _unsatisfied(handler: Handler, body: bytes, start: int) -> None:
    if start:
        handler.send_error(416)
    else:
        handler.reply(body, 0)


WAYS: dict[str, Callable[[Handler, bytes, int], None]] = {
    "good": lambda h, body, start: h.reply(body, start),
    "no-range": lambda h, body, start: h.reply(body, 0),
    "breaks-once": lambda h, body, start: h.reply(
        body, start, sent=None if start else len(body) // 2
    ),
    "breaks-always": lambda h, body, start: h.reply(body, start, sent=1000),
    "breaks-at-once": lambda h, body, start: h.reply(body, start, sent=0),
    "corrupt": lambda h, body, start: h.reply(_flip(body), start),
    "misplaced": lambda h, body, start: h.reply(body, start, shift=1),
    "longer": lambda h, body, start: h.reply(body + b"more", start),
    "web-page": lambda h, body, start: h.reply(b"<html>log in first</html>", 0),
    "missing": lambda h, body, start: h.send_error(404),
    "pause": _pause,
    "silent": _silent,
    "endless": _endless,
    "unsatisfied": _unsatisfied,
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()
