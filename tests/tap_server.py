"""A model provider on loopback whose answer each request chooses by its `x-case` header."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 600}}
MODEL = "gpt-4o-2024-08-06"
ANSWER = {
    "id": "chatcmpl-1",
    "model": MODEL,
    "service_tier": "default",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": USAGE,
}


def _event(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"id": "c1", "model": MODEL, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


_DOCUMENTS = [
    _event({"role": "assistant", "content": ""}),
    _event({"content": "hel"}),
    _event({"content": "lo"}),
    _event({}, "stop"),
    {"id": "c1", "model": MODEL, "choices": [], "usage": USAGE},
]
EVENTS = [*(b"data: " + json.dumps(document).encode() + b"\n\n" for document in _DOCUMENTS), b"data: [DONE]\n\n"]
STREAM = b"".join(EVENTS)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _own(self) -> _Server:
        assert isinstance(self.server, _Server)
        return self.server

    def do_POST(self) -> None:
        self._own.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        case, _, argument = self.headers.get("x-case", "plain").partition(":")
        getattr(self, f"_{case}")(argument)

    def _plain(self, _argument: str) -> None:
        self._whole(200, json.dumps(ANSWER).encode())

    def _gzip(self, _argument: str) -> None:
        self._whole(200, gzip.compress(json.dumps(ANSWER).encode()), ("content-encoding", "gzip"))

    def _refused(self, status: str) -> None:
        self._whole(int(status), b'{"error":{"code":"rate_limit_exceeded"}}')

    def _cut(self, size: str) -> None:
        self._chunks(STREAM[at : at + int(size)] for at in range(0, len(STREAM), int(size)))

    def _packed(self, _argument: str) -> None:
        packed = gzip.compress(STREAM)
        self._chunks((packed[at : at + 10] for at in range(0, len(packed), 10)), ("content-encoding", "gzip"))

    def _waits(self, _argument: str) -> None:
        def pieces() -> Iterator[bytes]:
            yield from EVENTS[:2]
            self._own.go_on.wait(10)
            yield from EVENTS[2:]

        self._chunks(pieces())

    def _breaks(self, _argument: str) -> None:
        self._chunks(EVENTS[:2], end=False)

    def _hangs(self, _argument: str) -> None:
        self._own.go_on.wait(10)
        self.close_connection = True

    def _whole(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("x-request-id", "req_1"),
            ("x-ratelimit-remaining-tokens", "99"),
            *headers,
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _chunks(self, pieces: Any, *headers: tuple[str, str], end: bool = True) -> None:
        self.send_response(200)
        for name, value in (("content-type", "text/event-stream"), ("transfer-encoding", "chunked"), *headers):
            self.send_header(name, value)
        self.end_headers()
        try:
            for piece in pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n" if end else b"")
        except OSError:
            end = False  # the client has left, as its test wants
        self.close_connection = not end

    log_message: Callable[..., None] = lambda *_: None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[dict[str, str]] = []
        self.go_on = threading.Event()
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.address}/v1/chat/completions"


@contextmanager
def tap_server() -> Iterator[_Server]:
    """The server, listening until the block ends."""
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
