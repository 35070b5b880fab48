"""An OpenAI-shaped server on loopback that tells a stream's usage only to those who ask, or refuses the question."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "gpt-4o-2024-08-06"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
WORDS = ("South", " Atlantic", ' "choices":[] ', "\n\n", "été")


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}


def stream(*, asked: bool, last_too: bool = False) -> bytes:
    """What the server sends; asked, some put the usage into the last choice as well."""
    filtered = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
    documents = [filtered, chunk({"role": "assistant", "content": ""}), *(chunk({"content": word}) for word in WORDS)]
    documents.append(chunk({}, "stop") | ({"usage": USAGE} if last_too else {}))
    if asked:
        documents.append(chunk({}) | {"choices": [], "usage": USAGE})
    lines = [b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n" for document in documents]
    return b"".join((*lines, b"data: [DONE]\n\n"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, AskingServer)
        body = self.rfile.read(int(self.headers["content-length"]))
        server.bodies.append(body)
        server.headers.append({name.lower(): value for name, value in self.headers.items()})
        asked = b"include_usage" in body
        if asked and server.refuses:
            self._answer(400, "application/json", b'{"error":{"message":"Unknown parameter: stream_options"}}')
        else:
            self._answer(200, "text/event-stream", stream(asked=asked))

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        server = self.server
        assert isinstance(server, AskingServer)
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        if server.packs:
            body = gzip.compress(body)
            self.send_header("content-encoding", "gzip")
        self.end_headers()
        for at in range(0, len(body), server.size):
            piece = body[at : at + server.size]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    log_message: Callable[..., None] = lambda *_: None


class AskingServer(ThreadingHTTPServer):
    """Listens on loopback; `size` is that of its chunks."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.address}/v1"
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.refuses = self.packs = False
        self.size = 10_000


@contextmanager
def asking_server() -> Iterator[AskingServer]:
    """The server, listening until the block ends."""
    server = AskingServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
