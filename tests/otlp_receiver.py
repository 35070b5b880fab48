"""An OTLP receiver on loopback: it takes posts apart, keeps what it took, and fails in any mood it is put into."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PROTOBUF = "application/x-protobuf"


@dataclass
class Post:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def request(self) -> ExportTraceServiceRequest:
        packed = self.headers.get("content-encoding") == "gzip"
        request = ExportTraceServiceRequest()
        request.ParseFromString(gzip.decompress(self.body) if packed else self.body)
        return request


@dataclass
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang_s: float = 0.0
    takes: bool = True


def partial(rejected: int, message: str = "") -> Reply:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = message
    return Reply(headers={"Content-Type": PROTOBUF}, body=answer.SerializeToString())


@dataclass
class Span:
    """A span as it arrived, with the resource it came under."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status: int
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Receiver:
    """What was posted; `reply` says how the next posts are answered."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.taken: list[Post] = []
        self.replies: list[Reply] = []
        self.otherwise = Reply()
        self.refuses = ""
        self.url = ""

    def reply(self, post: Post) -> Reply:
        self.posts.append(post)
        if self.refuses and self.refuses.encode() in post.request.SerializeToString():
            return Reply(400, takes=False)
        found = self.replies.pop(0) if self.replies else self.otherwise
        if found.takes and found.status < 300:
            self.taken.append(post)
        return found

    @property
    def spans(self) -> list[Span]:
        return [span for post in self.taken for span in spans_of(post.request)]


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for group in request.resource_spans:
        resource = attributes(group.resource.attributes)
        for scope in group.scope_spans:
            assert scope.scope.name == "tollmeter"
            for span in scope.spans:
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                times = span.start_time_unix_nano, span.end_time_unix_nano
                about = attributes(span.attributes)
                yield Span(*ids, span.name, span.kind, *times, span.status.code, about, resource)


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def otlp_receiver() -> Iterator[Receiver]:
    """A receiver that takes everything, until told otherwise."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver.reply(Post(self.path, headers, body))
            if reply.hang_s:
                time.sleep(reply.hang_s)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that left while we hung
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
