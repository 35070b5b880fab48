"""A provider, an OTLP collector and a Datadog agent on one loopback port, for services in processes of their own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ANSWER = b'{"model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}'


class Backend(ThreadingHTTPServer):
    """Answers every chat, keeps every span, and counts what else was sent by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.spans: list[dict[str, Any]] = []
        self.paths: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, body: bytes) -> None:
        """One export."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans += [
                    {"name": span.name, "kind": span.kind, "span_id": span.span_id.hex(), "scope": scope.scope.name}
                    for span in scope.spans
                ]

    def wait_for(self, name: str, count: int) -> list[dict[str, Any]]:
        """The spans of that name, once so many have come."""
        deadline = time.monotonic() + 20
        while len(found := [span for span in self.spans if span["name"] == name]) < count:
            assert time.monotonic() < deadline, f"{len(found)} spans named {name!r} of {len(self.spans)}"
            time.sleep(0.05)
        return found


class Answering(BaseHTTPRequestHandler):
    server: Any  # the Backend

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.paths[self.path] += 1
        if self.path == "/v1/traces":
            self.server.take(body)
        answer = ANSWER if "chat" in self.path else b""
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_PUT = do_GET = do_POST  # noqa: N815  as above

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base's name
        """Say nothing."""


@contextmanager
def running_backend() -> Iterator[Backend]:
    """One that serves until it is left."""
    with Backend() as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()
