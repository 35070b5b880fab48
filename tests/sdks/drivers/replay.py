"""A provider on loopback that answers with a recorded row: status, headers, body, cut and compressed."""

from __future__ import annotations

import gzip
import json
import random
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

from recorded import Row, body_of

SEED: Final = 20261123
_CUTS: Final = 12
_PATIENCE_S: Final = 10
_OWN_HEADERS: Final = frozenset(
    {"connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"}
)


class Answer(NamedTuple):
    """What is sent: the pieces of the body in order, each one HTTP chunk where there are several."""

    status: int
    headers: dict[str, str]
    pieces: list[bytes]


def answer_of(row: Row, *, as_events: bool = False) -> Answer:
    """The answer a row records; `as_events` frames a JSON array as the event stream that `alt=sse` asks for."""
    headers = {name.lower(): value for name, value in (row["response_headers"] or {}).items()}
    kept = {name: value for name, value in headers.items() if name not in _OWN_HEADERS}
    body = body_of(row)
    if as_events and row["body_kind"] == "json-array":
        body = b"".join(b"data: %b\r\n\r\n" % json.dumps(part).encode() for part in json.loads(body))
        kept["content-type"] = "text/event-stream"
    if headers.get("content-encoding") == "gzip":
        kept["content-encoding"] = "gzip"
        body = gzip.compress(body, mtime=0)
    return Answer(row["status"], kept, cut(body, row["id"]) if row["stream"] else [body])


def cut(body: bytes, name: str) -> list[bytes]:
    """The body in up to 13 pieces, cut at places that the seed and the name decide."""
    dice = random.Random(f"{SEED}:{name}")
    places = sorted({dice.randrange(1, len(body)) for _ in range(dice.randrange(_CUTS + 1))}) if len(body) > 1 else []
    return [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]


class Provider(ThreadingHTTPServer):
    """Listens on a port of its own, because host and port are what decides a provider."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.row: Row = {}
        self.first: list[Answer] = []
        self.attempts = 0
        self.in_step = False
        """Whether a chunk is sent only once `taken` was released for the one before."""
        self.taken = threading.Semaphore(0)
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has left is what some SDKs do at the end of a stream; all else is a fault."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def load(self, row: Row, first: list[Answer] | None = None) -> None:
        """Answer with `first`, one by one, and with the row from then on."""
        self.row, self.first, self.attempts = row, list(first or ()), 0
        self.taken = threading.Semaphore(0)

    def next_answer(self, path: str) -> Answer:
        """What the next request gets."""
        self.attempts += 1
        return self.first.pop(0) if self.first else answer_of(self.row, as_events="alt=sse" in path)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        provider = self.server
        assert isinstance(provider, Provider)
        status, headers, pieces = provider.next_answer(self.path)
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        whole = len(pieces) == 1 and not provider.in_step
        self.send_header(*(("content-length", str(len(pieces[0]))) if whole else ("transfer-encoding", "chunked")))
        self.end_headers()
        if whole:
            self.wfile.write(pieces[0])
        else:
            self._send_chunks(pieces, provider)

    def _send_chunks(self, pieces: list[bytes], provider: Provider) -> None:
        taken = provider.taken
        for piece in filter(None, pieces):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if provider.in_step and not taken.acquire(timeout=_PATIENCE_S):
                raise TimeoutError(provider.row["id"])
        self.wfile.write(b"0\r\n\r\n")

    log_message: Callable[..., None] = lambda *_: None


def providers(names: dict[str, str]) -> dict[str, Provider]:
    """One server for each recorded provider, by the name its rows bear."""
    return {recorded: Provider(name) for recorded, name in names.items()}


def settings_of(servers: dict[str, Provider]) -> dict[str, Any]:
    """The settings that make a tap recognise the servers."""
    return {"mode": "lean", "providers": {server.address: server.name for server in servers.values()}}
