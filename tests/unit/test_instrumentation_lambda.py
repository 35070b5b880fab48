"""Lambda without AWS: documented event shapes through native handlers, Mangum, and an app behind the Web Adapter."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from mangum import Mangum

from tollmeter.instrumentation import (
    active,
    annotate,
    consume_batch,
    current_request,
    instrument,
    instrument_lambda,
    lambda_sandbox,
    llm_call,
)
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, Request, decode

EVENTS = Path(__file__).parents[1] / "data" / "lambda"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
AWS_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
SETTINGS: dict[str, Any] = {"mode": "lean", "headers": {"tenant_id": "x-tenant-id"}, "baggage": {"tenant_id": "tenant"}}


def event(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


class Context:
    """What Lambda hands to a handler beside the event."""

    function_name = "chat"
    memory_limit_in_mb = "512"
    aws_request_id = AWS_ID

    def __init__(self, left_ms: int = 30_000) -> None:
        self.left_ms = left_ms

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


@pytest.fixture(autouse=True)
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(active, "_default", [])
    monkeypatch.setattr(lambda_sandbox, "_warm", threading.Event())
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "chat")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    losses.take()
    yield
    assert losses.take() == {}
    assert current_request() is None


@pytest.fixture
def writer() -> MemoryWriter:
    return MemoryWriter()


@pytest.fixture
def loop() -> Iterator[None]:
    # Mangum takes the thread's loop, and makes one that it does not close where there is none.
    found = asyncio.new_event_loop()
    asyncio.set_event_loop(found)
    yield
    asyncio.set_event_loop(None)
    found.close()


def rows(writer: MemoryWriter) -> list[Request]:
    return [found for line in writer.lines if isinstance(found := decode(line), Request)]


def row(writer: MemoryWriter) -> Request:
    (found,) = rows(writer)
    return found


def call_a_model() -> None:
    with llm_call(provider="openai", model="gpt-4o") as call:
        call.record_usage(input_tokens=10, output_tokens=2)


def answering(answer: object) -> Callable[[Any, Any], Any]:
    def handler(event: Any, context: Any) -> Any:
        return answer

    return handler


def echo(event: Any, context: Any) -> Any:
    return event


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("api_gateway_v1", ("POST", "/items/{id}", "acme", AWS_ID)),
        ("api_gateway_v2", ("POST", "/items/{id}", "acme", "order-17")),
        ("function_url", ("POST", "", "acme", AWS_ID)),
        ("load_balancer", ("POST", "", "acme", AWS_ID)),
        ("websocket", ("WEBSOCKET", "sendmessage", "", AWS_ID)),
        ("sqs", ("QUEUE", "my-queue", "", AWS_ID)),
        ("sqs_one", ("QUEUE", "my-queue", "acme", AWS_ID)),
        ("sns", ("QUEUE", "sns-lambda", "", AWS_ID)),
        ("event_bridge", ("QUEUE", "ChatCompletion", "", AWS_ID)),
        ("scheduled", ("QUEUE", "Scheduled Event", "", AWS_ID)),
    ],
)
def test_each_trigger_is_one_request(writer: MemoryWriter, name: str, expected: tuple[str, ...]) -> None:
    def handler(event: Any, context: Any) -> Any:
        call_a_model()
        return {"statusCode": 201, "body": "größe"}

    instrument(handler, writer=writer, **SETTINGS)(event(name), Context())
    found = row(writer)
    assert (found.method, found.route, found.tenant_id, found.request_id) == expected
    assert found.service == "chat"
    assert (found.trace_id == TRACE) == (name in {"api_gateway_v1", "sqs_one", "sns", "event_bridge"})
    is_http = found.method in {"POST", "WEBSOCKET"}
    assert (found.status_code, found.response_bytes) == ((201, 7) if is_http else (None, 0))
    (call,) = (each for line in writer.lines if isinstance(each := decode(line), LlmCall))
    assert (call.request_id, found.llm_calls) == (expected[-1], 1)


def test_an_event_of_no_known_shape_is_an_invocation(writer: MemoryWriter) -> None:
    handler = instrument_lambda(echo, writer=writer, **SETTINGS)
    assert [handler(value, Context()) for value in ({"a": 1}, [1], "x", None)] == [{"a": 1}, [1], "x", None]
    assert [(each.method, each.route) for each in rows(writer)] == [("LAMBDA", "chat")] * 4


def test_the_first_invocation_of_a_sandbox_is_its_cold_start(writer: MemoryWriter) -> None:
    handler = instrument_lambda(answering(None), writer=writer, **SETTINGS)
    handler({}, Context())
    handler({}, Context())
    shared = {"function_name": "chat", "memory_mb": "512", "aws_request_id": AWS_ID}
    assert [each.tags for each in rows(writer)] == [shared | {"cold_start": "true"}, shared]


def test_a_sandbox_that_was_made_ahead_has_none(writer: MemoryWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency")
    instrument_lambda(answering(None), writer=writer, **SETTINGS)({}, Context())
    assert "cold_start" not in row(writer).tags


XRAY = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=25:a87bd80c:1"


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("what", ["handler", "app", "handler and app"])
def test_lambdas_own_segment_is_the_parent(writer: MemoryWriter, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", XRAY)
    app = an_app()
    if "app" in what:
        instrument(app, writer=writer, **SETTINGS)
    handler: Any = Mangum(app)
    if "handler" in what:
        handler = instrument(handler, writer=writer, **SETTINGS)
    handler(event("api_gateway_v2"), Context())
    assert (row(writer).trace_id, row(writer).parent_span_id) == (
        "67891233abcdef012345678912345678",
        "53995c3f42cd8ad8",
    )


@pytest.mark.parametrize(("name", "status"), [("api_gateway_v2", 500), ("sqs", None)])
def test_a_handler_that_raises_is_an_error(writer: MemoryWriter, name: str, status: int | None) -> None:
    def handler(event: Any, context: Any) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        instrument(handler, writer=writer, **SETTINGS)(event(name), Context())
    assert (row(writer).error_type, row(writer).status_code) == ("KeyError", status)


def test_an_invocation_whose_time_runs_out_is_written_before_it_is_stopped(writer: MemoryWriter) -> None:
    seen: list[list[Request]] = []

    def handler(event: Any, context: Any) -> None:
        deadline = time.monotonic() + 10
        while not rows(writer) and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(rows(writer))

    instrument(handler, writer=writer, **SETTINGS)(event("sqs"), Context(left_ms=250))
    (before,) = seen[0]
    assert (before.error_type, before.route) == ("LambdaTimeout", "my-queue")
    assert before.duration_ms >= 50
    assert rows(writer) == seen[0]


@pytest.mark.parametrize("raises", [False, True])
def test_a_batch_that_is_consumed_is_told_by_its_records(writer: MemoryWriter, raises: bool) -> None:
    def handle(record: Any) -> None:
        annotate(feature="mail")
        if record["body"] == '{"n": 2}':
            raise ValueError

    def handler(event: Any, context: Any) -> Any:
        answer = consume_batch(event, handle)
        if raises:
            raise OSError("disk")
        return answer

    wrapped = instrument(handler, writer=writer, **SETTINGS)
    if raises:
        with pytest.raises(OSError, match="disk"):
            wrapped(event("sqs"), Context())
    else:
        failed = {"batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be6da"}]}
        assert wrapped(event("sqs"), Context()) == failed
    first, second, *rest = rows(writer)
    assert (first.error_type, second.error_type) == ("", "ValueError")
    assert {each.trace_id for each in (first, second)} == {TRACE}
    assert {each.tenant_id for each in (first, second)} == {"acme"}
    assert (first.tags["attempt"], first.tags["aws_request_id"], first.tags["cold_start"]) == ("2", AWS_ID, "true")
    assert [each.error_type for each in rest] == (["OSError"] if raises else [])


def test_a_context_that_raises_is_an_invocation_all_the_same(writer: MemoryWriter) -> None:
    class Broken(Context):
        def get_remaining_time_in_millis(self) -> int:
            raise RuntimeError

    assert instrument(echo, writer=writer, **SETTINGS)({"a": 1}, Broken()) == {"a": 1}
    assert row(writer).method == "LAMBDA"
    assert row(writer).losses == {"internal:remaining_ms:RuntimeError": 1}


def test_records_that_were_given_back_are_counted(writer: MemoryWriter) -> None:
    answer = {"batchItemFailures": [{"itemIdentifier": "2e1424d4"}]}
    instrument_lambda(answering(answer), writer=writer, **SETTINGS)(event("sqs"), Context())
    assert (row(writer).tags["records"], row(writer).tags["failed_records"]) == ("2", "1")


def test_a_handler_is_known_by_its_two_arguments_or_named_as_one(writer: MemoryWriter) -> None:
    @instrument_lambda(writer=writer, **SETTINGS)
    def handler(*arguments: Any) -> Any:
        return arguments[0]

    assert instrument(handler) is handler
    assert instrument_lambda(handler) is handler
    assert handler({"a": 1}, Context()) == {"a": 1}
    assert handler.__name__ == "handler"
    assert row(writer).method == "LAMBDA"


def test_paths_that_are_excluded_are_not_recorded(writer: MemoryWriter) -> None:
    handler = instrument_lambda(answering({}), writer=writer, exclude_routes=("/items/7",), **SETTINGS)
    for name in ("api_gateway_v1", "api_gateway_v2", "load_balancer"):
        assert handler(event(name), Context()) == {}
    assert writer.lines == []


# --- ASGI apps -----------------------------------------------------------------------------------------------------


def an_app() -> FastAPI:
    app = FastAPI()

    @app.post("/items/{number}")
    def item(number: int) -> dict[str, int]:
        call_a_model()
        return {"number": number}

    @app.get("/")
    def root() -> dict[str, bool]:
        return {"ok": True}

    return app


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("name", ["api_gateway_v1", "api_gateway_v2", "function_url", "load_balancer"])
@pytest.mark.parametrize("what", ["app", "handler and app", "handler"])
def test_mangum_is_one_row(writer: MemoryWriter, name: str, what: str) -> None:
    app = an_app()
    if "app" in what:
        instrument(app, writer=writer, **SETTINGS)
    handler: Any = Mangum(app, lifespan="auto")
    if "handler" in what:
        handler = instrument(handler, writer=writer, **SETTINGS)
    answer = handler(event(name), Context())
    assert (answer["statusCode"], answer["body"]) == (200, '{"number":7}')
    found = row(writer)
    assert (found.method, found.status_code, found.response_bytes) == ("POST", 200, 12)
    assert (found.tenant_id, found.llm_calls) == ("acme", 1)
    assert found.request_id == ("order-17" if name == "api_gateway_v2" else AWS_ID)
    assert (found.tags["cold_start"], found.tags["aws_request_id"]) == ("true", AWS_ID)
    if "app" in what:
        assert found.route == "/items/{number}"
    if name == "api_gateway_v1":
        assert (found.trace_id, found.parent_span_id) == (TRACE, "00f067aa0ba902b7")


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("what", ["app", "handler and app"])
def test_a_timeout_under_mangum_is_one_row(writer: MemoryWriter, what: str) -> None:
    app = FastAPI()

    @app.post("/items/{number}")
    async def item(number: int) -> int:
        await asyncio.sleep(0.4)
        return number

    instrument(app, writer=writer, **SETTINGS)
    handler: Any = Mangum(app, lifespan="off")
    if what != "app":
        handler = instrument(handler, writer=writer, **SETTINGS)
    handler(event("api_gateway_v2"), Context(left_ms=300))
    assert (row(writer).error_type, row(writer).route) == ("LambdaTimeout", "/items/{number}")


async def _ask(app: Any, path: str, method: str, headers: dict[str, str]) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()], "http_version": "1.1",
        "scheme": "http", "server": ("127.0.0.1", 8080), "client": ("127.0.0.1", 1), "asgi": {"version": "3.0"},
    }  # fmt: skip
    await app(scope, receive, send)


def test_the_web_adapter_is_one_row_and_its_readiness_checks_are_none(writer: MemoryWriter) -> None:
    app = instrument(an_app(), writer=writer, **SETTINGS)
    lambda_context = {
        "request_id": AWS_ID,
        "deadline": int(time.time() * 1000) + 30_000,
        "invoked_function_arn": "arn:aws:lambda:us-east-1:123456789012:function:chat",
        "xray_trace_id": None,
        "env_config": {"function_name": "chat", "memory": 512},
    }
    headers = {"x-amzn-lambda-context": json.dumps(lambda_context), "x-amzn-request-context": "{}"}

    async def invoke() -> None:
        for _ in range(3):
            await _ask(app, "/", "GET", {})
        await _ask(app, "/", "GET", headers)
        await _ask(app, "/items/7", "POST", headers)

    asyncio.run(invoke())
    first, second = rows(writer)
    assert (first.route, second.route) == ("/", "/items/{number}")
    assert (first.request_id, first.tags["cold_start"]) == (AWS_ID, "true")
    assert "cold_start" not in second.tags


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["2.0", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["requestContext", "http", "httpMethod", "routeKey", "headers", "multiValueHeaders", "Records", "path",
                 "detail-type", "detail", "elb", "eventType", "rawPath", "resource", "statusCode", "body",
                 "isBase64Encoded", "batchItemFailures", "messageAttributes"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)  # fmt: skip


@given(sent=values, answer=values)
@settings(deadline=None, max_examples=300)
def test_no_event_and_no_answer_breaks_a_handler(sent: object, answer: object) -> None:
    writer = MemoryWriter()
    handler = instrument_lambda(answering(answer), writer=writer, **SETTINGS)
    assert handler(sent, Context()) is answer
    losses.take()  # shapes that AWS does not send may be counted, they never raise
    assert len(rows(writer)) == 1
