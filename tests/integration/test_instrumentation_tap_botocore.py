"""The tap under a real boto3 client, against recorded Bedrock answers replayed on loopback."""

from __future__ import annotations

import base64
import gc
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tollmeter.instrumentation import active, instrument
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode

pytestmark = pytest.mark.shared_data
NOVA = "us.amazon.nova-lite-v1:0"
MESSAGES = [{"role": "user", "content": [{"text": "hi"}]}]


class Replay(ThreadingHTTPServer):
    """Answers every POST with one recorded row."""

    row: dict[str, Any]
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.go_on = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Replay)
        self.rfile.read(int(self.headers["content-length"]))
        row = server.row
        text = row["response_body"]
        body = base64.b64decode(text) if row["response_body_encoding"] == "base64" else str(text).encode()
        self.send_response(row["status"])
        for name, value in row["response_headers"].items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: row.get("sent", len(body))])
        server.go_on.wait(row.get("hangs", 0))
        self.close_connection = "sent" in row

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        return


@pytest.fixture
def server() -> Iterator[Replay]:
    with Replay() as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.go_on.set()
        found.shutdown()
        thread.join()


@pytest.fixture
def events(server: Replay) -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    instrument(writer=writer, mode="lean", providers={f"127.0.0.1:{server.server_port}": "aws.bedrock"})
    yield writer
    active._default.clear()


def client_for(port: int, *, attempts: int = 1, **config: Any) -> Any:
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="AKIATEST",
        aws_secret_access_key="secret",
        config=Config(retries={"mode": "standard", "total_max_attempts": attempts}, **config),
    )


@pytest.fixture
def client(server: Replay) -> Iterator[Any]:
    found = client_for(server.server_port)
    yield found
    found.close()


@pytest.fixture(scope="module")
def rows(shared: Path) -> list[dict[str, Any]]:
    lines = (shared / "data" / "provider_responses.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["provider"] == "bedrock"]


def pick(rows: list[dict[str, Any]], endpoint: str, model: str, *, status: int = 200) -> dict[str, Any]:
    return next(
        row
        for row in rows
        if row["endpoint"] == endpoint
        and model in (row["request_model"] or "")
        and row["status"] == status
        and (row["usage"] or status != 200)
    )


def call_of(writer: MemoryWriter) -> LlmCall:
    gc.collect()
    (event,) = (decode(line) for line in writer.lines)
    assert isinstance(event, LlmCall)
    return event


def test_converse(server: Replay, events: MemoryWriter, client: Any, rows: list[dict[str, Any]]) -> None:
    server.row = pick(rows, "converse", "nova")
    answer = client.converse(modelId=NOVA, messages=MESSAGES)
    call = call_of(events)
    assert (call.provider, call.request_model, call.status, call.stream) == ("aws.bedrock", NOVA, "ok", False)
    assert call.input_tokens == answer["usage"]["inputTokens"]
    assert call.output_tokens == answer["usage"]["outputTokens"]
    assert (call.finish_reason, call.cost_status) == (answer["stopReason"], "priced")
    assert call.provider_request_id == server.row["response_headers"].get("x-amzn-requestid", "")


def test_converse_stream(server: Replay, events: MemoryWriter, client: Any, rows: list[dict[str, Any]]) -> None:
    server.row = pick(rows, "converse-stream", "nova")
    told = list(client.converse_stream(modelId=NOVA, messages=MESSAGES)["stream"])
    call = call_of(events)
    usage = next(event["metadata"]["usage"] for event in told if "metadata" in event)
    assert (call.stream, call.status) == (True, "ok")
    assert (call.input_tokens, call.output_tokens) == (usage["inputTokens"], usage["outputTokens"])
    assert call.ttft_ms is not None
    assert call.ttft_ms <= (call.latency_ms or 0.0)


def test_a_stream_left_early_is_partial(
    server: Replay, events: MemoryWriter, client: Any, rows: list[dict[str, Any]]
) -> None:
    server.row = pick(rows, "converse-stream", "nova")
    stream = client.converse_stream(modelId=NOVA, messages=MESSAGES)["stream"]
    stream.close()
    assert (call_of(events).status, call_of(events).usage_source) == ("partial", "missing")


def test_invoke_model(server: Replay, events: MemoryWriter, client: Any, rows: list[dict[str, Any]]) -> None:
    server.row = pick(rows, "invoke", "claude")
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    answer = json.loads(client.invoke_model(modelId=model, body=b"{}")["body"].read())
    call = call_of(events)
    assert (call.request_model, call.status) == (model, "ok")
    assert call.output_tokens == answer["usage"]["output_tokens"]
    assert "claude-sonnet-4-5" in call.price_ref


def test_invoke_model_with_response_stream(
    server: Replay, events: MemoryWriter, client: Any, rows: list[dict[str, Any]]
) -> None:
    server.row = pick(rows, "invoke-with-response-stream", "claude")
    answer = client.invoke_model_with_response_stream(modelId="anthropic.claude-3-haiku-20240307-v1:0", body=b"{}")
    last = json.loads(list(answer["body"])[-1]["chunk"]["bytes"])["amazon-bedrock-invocationMetrics"]
    call = call_of(events)
    assert (call.status, call.stream) == ("ok", True)
    assert (call.input_tokens, call.output_tokens) == (last["inputTokenCount"], last["outputTokenCount"])


def test_a_refused_call_names_its_exception(server: Replay, events: MemoryWriter, client: Any) -> None:
    headers = {"x-amzn-errortype": "ThrottlingException:http://internal", "content-type": "application/json"}
    server.row = {
        "status": 429,
        "response_body": '{"message":"Too many tokens"}',
        "response_body_encoding": "utf-8",
        "response_headers": headers,
    }
    with pytest.raises(ClientError):
        client.converse(modelId=NOVA, messages=MESSAGES)
    call = call_of(events)
    assert (call.status, call.http_status, call.error_type) == ("error", 429, "ThrottlingException")


def test_an_endpoint_that_is_not_there(server: Replay, events: MemoryWriter) -> None:
    active._default.clear()
    instrument(writer=events, mode="lean", providers={"127.0.0.1:1": "aws.bedrock"})
    gone = client_for(1)
    with pytest.raises(EndpointConnectionError):
        gone.converse(modelId=NOVA, messages=MESSAGES)
    gone.close()
    assert (call_of(events).status, call_of(events).error_type) == ("error", "EndpointConnectionError")


def test_a_stream_that_breaks_is_an_error_with_what_was_seen(
    server: Replay, events: MemoryWriter, client: Any, rows: list[dict[str, Any]]
) -> None:
    row = pick(rows, "converse-stream", "nova")
    size = len(base64.b64decode(row["response_body"]))
    server.row = row | {"sent": size // 2}
    stream = client.converse_stream(modelId=NOVA, messages=MESSAGES)["stream"]
    list(stream)  # botocore says nothing of what is missing
    call = call_of(events)
    assert (call.status, call.error_type, call.usage_source) == ("error", "IncompleteFrame", "missing")
    assert call.ttft_ms is not None


@pytest.mark.parametrize("endpoint", ["converse", "converse-stream"])
def test_a_timeout(server: Replay, events: MemoryWriter, rows: list[dict[str, Any]], endpoint: str) -> None:
    server.row = pick(rows, endpoint, "nova") | {"sent": 20, "hangs": 10}
    slow = client_for(server.server_port, read_timeout=0.2)

    def ask() -> None:
        if endpoint == "converse":
            slow.converse(modelId=NOVA, messages=MESSAGES)
        else:
            list(slow.converse_stream(modelId=NOVA, messages=MESSAGES)["stream"])

    with pytest.raises((ReadTimeoutError, urllib3.exceptions.ReadTimeoutError)):
        ask()
    slow.close()
    assert (call_of(events).status, call_of(events).error_type) == ("error", "ReadTimeoutError")


# botocore's own word on a stream that nobody closed.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stream_never_iterated_is_one_partial_row(
    server: Replay, events: MemoryWriter, client: Any, rows: list[dict[str, Any]]
) -> None:
    server.row = pick(rows, "converse-stream", "nova")
    client.converse_stream(modelId=NOVA, messages=MESSAGES)
    assert (call_of(events).status, call_of(events).usage_source) == ("partial", "missing")


def test_a_body_read_in_part_is_partial(
    server: Replay, events: MemoryWriter, client: Any, rows: list[dict[str, Any]]
) -> None:
    server.row = pick(rows, "invoke", "claude")
    body = client.invoke_model(modelId="anthropic.claude-3-haiku-20240307-v1:0", body=b"{}")["body"]
    assert len(body.read(5)) == 5
    body.close()
    assert call_of(events).status == "partial"


def test_each_attempt_is_a_row_and_says_which(server: Replay, events: MemoryWriter) -> None:
    server.row = {
        "status": 503,
        "response_body": "{}",
        "response_body_encoding": "utf-8",
        "response_headers": {"x-amzn-errortype": "ServiceUnavailableException", "content-type": "application/json"},
    }
    patient = client_for(server.server_port, attempts=2)
    with pytest.raises(ClientError):
        patient.converse(modelId=NOVA, messages=MESSAGES, inferenceConfig={"maxTokens": 7})
    patient.close()
    calls = [decode(line) for line in events.lines]
    assert [(getattr(call, "attempt", 0), getattr(call, "max_tokens", 0)) for call in calls] == [(1, 7), (2, 7)]
    assert len({getattr(call, "credential_ref", "") for call in calls}) == 1
