"""A loopback double for every sink: it keeps what arrives, until it is told to refuse, hang or answer wrongly."""

from __future__ import annotations

import base64
import gzip
import json
import os
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_receiver import Span, spans_of
from statsd_socket import Sample, parsed

from tollmeter.model.home import Home

WELL = "well"
MOODS = ("refuse", "hang", "429", "500", "garbage")


class Double(ABC):
    """What a sink speaks to; `env` leads the forwarder to it."""

    env: dict[str, str]

    @abstractmethod
    def turn(self, mood: str) -> None:
        """Be in a mood from now on."""

    def close(self) -> None:  # noqa: B027  what has nothing open has nothing to stop
        """Stop."""


class HttpDouble(Double):
    """A server that refuses (nobody listens), hangs (it closes unanswered when the mood changes), or answers so."""

    garbage: ClassVar[bytes] = b"\x00\xff<html>not what you asked for"

    def __init__(self, variables: tuple[str, ...]) -> None:
        self.mood = WELL
        # Holds the port while nobody listens: one that is let go may be anybody's, and be taken, a moment later.
        self._keeper = socket.socket()
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._keeper.bind(("127.0.0.1", 0))
        self._server = self._listen()
        self.env = dict.fromkeys(variables, f"http://127.0.0.1:{self._server.server_port}")

    def _listen(self) -> ThreadingHTTPServer:
        server = _Server(self._keeper.getsockname(), type("Handler", (_Handler,), {"double": self}))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server

    def turn(self, mood: str) -> None:
        before, self.mood = self.mood, mood
        if mood == "refuse" and before != "refuse":
            self._stop()
        elif before == "refuse" and mood != "refuse":
            self._server = self._listen()

    def _stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def close(self) -> None:
        self._stop()
        self._keeper.close()

    @abstractmethod
    def answer(self, asked: _Handler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Keep what came, and answer."""


class _Server(ThreadingHTTPServer):
    allow_reuse_port = True
    daemon_threads = True
    request_queue_size = 64  # one that overflows costs the caller a second


class _Handler(BaseHTTPRequestHandler):
    double: ClassVar[HttpDouble]
    protocol_version = "HTTP/1.1"  # boto3 waits a second for the 100 that 1.0 does not give

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # the caller has gone amid its request, which nobody keeps
            self.close_connection = True
            return
        mood = self.double.mood
        if mood == "hang":
            while self.double.mood == "hang":
                time.sleep(0.02)
            self.close_connection = True
            return
        if mood in ("429", "500"):
            self._send(int(mood), {}, b'{"__type":"AsTold","message":"as told"}')
        elif mood == "garbage":
            self._send(200, {"content-type": "text/html"}, self.double.garbage, known=False)
        else:
            self._send(*self.double.answer(self, body))

    do_GET = do_HEAD = do_PUT = do_POST = _serve  # noqa: N815  the base class names them so

    def _send(self, status: int, headers: dict[str, str], body: bytes, *, known: bool = True) -> None:
        ids = {"x-amzn-requestid": "r-1", "x-amz-request-id": "r-1"} if known else {}
        try:
            self.send_response(status)
            for name, value in (ids | headers).items():
                self.send_header(name, value)
            self.send_header("connection", "close")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except OSError:  # the caller has gone
            pass

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Quiet."""


class S3Double(HttpDouble):
    def __init__(self) -> None:
        super().__init__(("AWS_ENDPOINT_URL_S3",))
        self.env |= {"TOLLMETER_RAW_URL": "s3://lake/raw"}
        self.objects: dict[str, bytes] = {}

    def answer(self, asked: _Handler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        key, _, query = asked.path.partition("?")
        etag = {"etag": '"e"'}
        if asked.command == "GET" and "uploads" in query:
            return 200, {}, b"<ListMultipartUploadsResult></ListMultipartUploadsResult>"
        if asked.command == "HEAD":
            return (200, etag, b"") if key in self.objects else (404, {}, b"")
        if asked.headers["if-none-match"] and key in self.objects:
            return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
        self.objects[key] = _unchunked(body) if "x-amz-decoded-content-length" in asked.headers else body
        return 200, etag, b""

    def ids(self) -> list[str]:
        return _ids(line for body in list(self.objects.values()) for line in zstandard.decompress(body).splitlines())


def _unchunked(body: bytes) -> bytes:
    found = b""
    while True:
        head, _, body = body.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if not size:
            return found
        found, body = found + body[:size], body[size + 2 :]


class JsonDouble(HttpDouble):
    """A service of AWS that speaks JSON; `take` keeps the request and gives the answer."""

    def answer(self, asked: _Handler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if asked.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        operation = asked.headers.get("x-amz-target", asked.path).rpartition(".")[2]
        answer = self.take(operation, json.loads(body))
        return 200, {"content-type": "application/x-amz-json-1.0"}, json.dumps(answer).encode()

    @abstractmethod
    def take(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Keep what came, and answer."""


class FirehoseDouble(JsonDouble):
    def __init__(self) -> None:
        super().__init__(("AWS_ENDPOINT_URL_FIREHOSE",))
        self.env |= {"TOLLMETER_FIREHOSE_STREAM": "events"}
        self.records: list[bytes] = []

    def take(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.records += [base64.b64decode(record["Data"]) for record in request["Records"]]
        return {"FailedPutCount": 0, "RequestResponses": [{"RecordId": "1"} for _ in request["Records"]]}

    def ids(self) -> list[str]:
        return _ids(line for record in list(self.records) for line in record.splitlines())


class LogsDouble(JsonDouble):
    """CloudWatch Logs, for the logs and for the metrics in the embedded format."""

    def __init__(self) -> None:
        super().__init__(("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",))
        self.events: dict[str, list[dict[str, Any]]] = {}

    def take(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "PutLogEvents":
            found = [json.loads(event["message"]) for event in request["logEvents"]]
            self.events.setdefault(request["logGroupName"], []).extend(found)
        return {}

    def ids(self) -> list[str]:
        return [event["event_id"] for event in list(self.events.get("/tollmeter/svc", ()))]

    def by_minute(self, name: str) -> Counter[int]:
        found: Counter[int] = Counter()
        for document in self.events.get("/tollmeter/metrics", ()):
            if name in document and document.get("service") == "svc":
                found[document["_aws"]["Timestamp"] // 60_000] += document[name]
        return found


class MetricsDouble(JsonDouble):
    def __init__(self) -> None:
        super().__init__(("AWS_ENDPOINT_URL_CLOUDWATCH",))
        self.data: list[dict[str, Any]] = []

    def take(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.data += request["MetricData"]
        return {}

    def by_minute(self, name: str) -> Counter[int]:
        found: Counter[int] = Counter()
        for datum in list(self.data):
            if datum["MetricName"] == name and {"Name": "service", "Value": "svc"} in datum["Dimensions"]:
                found[int(datum["Timestamp"]) // 60] += datum["Value"]
        return found


class XRayDouble(JsonDouble):
    def __init__(self) -> None:
        super().__init__(("AWS_ENDPOINT_URL_XRAY",))
        self.documents: dict[str, dict[str, Any]] = {}

    def take(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        found = [json.loads(text) for text in request["TraceSegmentDocuments"]]
        self.documents |= {document["id"]: document for document in found}
        return {"UnprocessedTraceSegments": []}


class OtlpDouble(HttpDouble):
    """A receiver of traces."""

    def __init__(self, variable: str) -> None:
        super().__init__((variable,))
        self.spans: list[Span] = []

    def answer(self, asked: _Handler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        request = ExportTraceServiceRequest()
        request.ParseFromString(gzip.decompress(body))
        self.spans += [span for span in spans_of(request) if span.resource["service.name"] == "svc"]
        return 200, {}, b""


class StatsdDouble(Double):
    """An Agent's Unix socket: hanging it does not read, in any other mood but well it is not there."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._folder = TemporaryDirectory()
        self._path = Path(self._folder.name) / "dsd.socket"
        self.env = {"TOLLMETER_STATSD_ADDRESS": f"unix://{self._path}"}
        self._mood, self._socket, self._closed = WELL, self._listen(), False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _listen(self) -> socket.socket:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        opened.bind(str(self._path))
        opened.settimeout(0.05)
        return opened

    def _work(self) -> None:
        while not self._closed:
            if self._mood in ("hang", WELL) and self._socket.fileno() < 0:
                self._socket = self._listen()
            elif self._mood == WELL:
                self._read()
            elif self._mood != "hang" and self._socket.fileno() >= 0:
                self._leave()
            else:
                time.sleep(0.02)
        if self._socket.fileno() >= 0:
            self._leave()

    def _leave(self) -> None:
        self._path.unlink()
        # From here on a sender is told; what it sent before would be lost with the socket, as when an Agent dies.
        self._socket.shutdown(socket.SHUT_RD)
        while self._read():
            pass
        self._socket.close()

    def _read(self) -> bool:
        try:
            datagram = self._socket.recv(1 << 16)
        except TimeoutError:
            return False
        self.samples += parsed(datagram) if datagram else ()
        return bool(datagram)

    def turn(self, mood: str) -> None:
        self._mood = mood

    def settle(self) -> None:
        """Read what was sent, and no more from then on."""
        self._closed = True
        self._thread.join()

    def close(self) -> None:
        self.settle()
        self._folder.cleanup()

    def total(self, name: str) -> float:
        """The sum as Datadog has it: of two points with one time it keeps the later alone."""
        found = [each for each in self.samples if each.name == name and each.tags["service"] == "svc"]
        timed = {(each.time, *sorted(each.tags.items())): sum(each.values) for each in found if each.time is not None}
        return sum(timed.values()) + sum(sum(each.values) for each in found if each.time is None)


class RawDouble(Double):
    """The raw folder: in any mood but well a file lies where the folder belongs.

    It is a link that is turned at once: between two steps the sink could make the folder anew.
    """

    def __init__(self, home: Home) -> None:
        self.env = {}
        self._raw, self._kept, self._nothing = home.raw, home.path / "kept", home.path / "nothing"
        self._kept.mkdir()
        self._nothing.touch()
        self.turn(WELL)

    def turn(self, mood: str) -> None:
        link = self._raw.with_suffix(".new")
        link.symlink_to(self._kept if mood == WELL else self._nothing)
        link.replace(self._raw)

    def ids(self) -> list[str]:
        bodies = [zstandard.decompress(path.read_bytes()) for path in self._kept.rglob("*.zst")]
        return _ids(line for body in bodies for line in body.splitlines())


class StdoutDouble(Double):
    """A reader of standard output: in any mood but well it does not read."""

    def __init__(self) -> None:
        self.env = {}
        self.text = b""
        self.read, self.write = os.pipe()
        self._well = threading.Event()
        self._well.set()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while chunk := os.read(self.read, 1 << 16):
            self.text += chunk
            self._well.wait()

    def turn(self, mood: str) -> None:
        (self._well.set if mood == WELL else self._well.clear)()

    def ids(self) -> list[str]:
        return _ids(self.text.splitlines())


def _ids(lines: Any) -> list[str]:
    events = [json.loads(line) for line in lines]
    return [event["event_id"] for event in events if event["service"] == "svc"]


OF_SINK: dict[str, str] = {
    "raw": "raw",
    "s3": "s3",
    "firehose": "firehose",
    "stdout": "stdout",
    "cloudwatch_logs": "logs",
    "cloudwatch_emf": "logs",
    "cloudwatch_metrics": "metrics",
    "xray": "xray",
    "otlp": "otlp",
    "datadog_traces": "agent",
    "datadog_metrics": "statsd",
}
"""The double each sink speaks to; two that share one are down together."""


@contextmanager
def doubles(home: Home) -> Iterator[dict[str, Any]]:
    """All doubles, by name."""
    made: dict[str, Callable[[], Double]] = {
        "raw": lambda: RawDouble(home),
        "s3": S3Double,
        "firehose": FirehoseDouble,
        "stdout": StdoutDouble,
        "logs": LogsDouble,
        "metrics": MetricsDouble,
        "xray": XRayDouble,
        "otlp": lambda: OtlpDouble("TOLLMETER_OTLP_ENDPOINT"),
        "agent": lambda: OtlpDouble("TOLLMETER_DATADOG_OTLP_ENDPOINT"),
        "statsd": StatsdDouble,
    }
    with ExitStack() as stack:
        found = {}
        for name, make in made.items():
            found[name] = make()
            stack.callback(found[name].close)
        yield found


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
