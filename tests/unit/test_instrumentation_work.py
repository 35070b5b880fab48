"""Jobs, queue messages and threads: one request each, what is called inside belongs to it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from tollmeter.instrumentation import (
    active,
    annotate,
    consume,
    consume_batch,
    current_request,
    instrument,
    job,
    llm_call,
    step,
    trace_attributes,
    trace_headers,
)
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.messages import queue_name, read_delivery
from tollmeter.instrumentation.otel.open_spans import OpenSpans
from tollmeter.instrumentation.otel.server_spans import adopt
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, Request, decode

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryWriter]:
    monkeypatch.setattr(active, "_default", [])
    losses.take()
    found = MemoryWriter()
    instrument(writer=found, mode="lean", service="worker", baggage=BAGGAGE, propagate_baggage=BAGGAGE)
    yield found
    assert losses.take() == {}


BAGGAGE = {"tenant_id": "tenant"}


def rows(writer: MemoryWriter) -> list[Request]:
    return [event for line in writer.lines if isinstance(event := decode(line), Request)]


def calls(writer: MemoryWriter) -> list[LlmCall]:
    return [event for line in writer.lines if isinstance(event := decode(line), LlmCall)]


def call_a_model() -> None:
    with llm_call(provider="openai", model="gpt-4o") as call:
        call.record_usage(input_tokens=10, output_tokens=2)


def test_a_job_is_a_request_and_its_calls_belong_to_it(writer: MemoryWriter) -> None:
    with job("nightly-digest"):
        annotate(tenant_id="acme")
        call_a_model()
    (row,), (call,) = rows(writer), calls(writer)
    assert (row.method, row.route, row.service, row.error_type) == ("JOB", "nightly-digest", "worker", "")
    assert (row.llm_calls, row.input_tokens, row.tenant_id) == (1, 10, "acme")
    assert (call.request_id, call.trace_id, call.parent_span_id) == (row.request_id, row.trace_id, row.span_id)
    assert (call.route, call.tenant_id) == ("nightly-digest", "acme")
    assert current_request() is None


def test_a_job_decorates_functions_plain_and_coroutine(writer: MemoryWriter) -> None:
    @job("plain")
    def plain(number: int) -> int:
        return number + 1

    @job("coroutine")
    async def coroutine(number: int) -> int:
        await asyncio.sleep(0)
        return number + 1

    async def both() -> list[int]:
        return list(await asyncio.gather(coroutine(1), coroutine(2)))

    assert (plain(1), asyncio.run(both())) == (2, [2, 3])
    assert [row.route for row in rows(writer)] == ["plain", "coroutine", "coroutine"]
    assert len({row.trace_id for row in rows(writer)}) == 3


@pytest.mark.parametrize(
    ("error", "expected"),
    [(ValueError("x"), "ValueError"), (KeyboardInterrupt(), "KeyboardInterrupt"), (SystemExit(0), ""),
     (SystemExit(3), "SystemExit")],
)  # fmt: skip
def test_an_exception_goes_on_and_names_the_error(writer: MemoryWriter, error: BaseException, expected: str) -> None:
    with pytest.raises(type(error)), job("j"):
        raise error
    assert [row.error_type for row in rows(writer)] == [expected]


def test_a_job_inside_of_a_job_is_its_own_row_in_the_same_trace_below_the_step(writer: MemoryWriter) -> None:
    with job("outer"):
        annotate(team="search")
        with step("part"):
            with job("inner"):
                pass
            call_a_model()
    inner, outer = rows(writer)
    assert (inner.route, outer.route) == ("inner", "outer")
    assert (inner.trace_id, inner.parent_span_id) == (outer.trace_id, outer.steps[0].span_id)
    assert (inner.team, inner.request_id != outer.request_id) == ("search", True)
    assert calls(writer)[0].parent_span_id == outer.steps[0].span_id


def test_attribution_is_the_headers_over_the_outer_requests_over_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(active, "_default", [])
    own = MemoryWriter()
    instrument(writer=own, mode="lean", service="worker", team="core", feature="mail", baggage=BAGGAGE)
    with job("outer"):
        annotate(team="search", tenant_id="outer", user_id="u")
        with consume(BOTO3, queue="jobs"):
            pass
    message, outer = rows(own)
    assert (message.team, message.feature, message.tenant_id, message.user_id) == ("search", "mail", "acme", "u")
    assert (outer.team, outer.feature, outer.tenant_id) == ("search", "mail", "outer")


def test_without_instrument_work_goes_on_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(active, "_default", [])
    losses.take()
    with job("j"), consume({}):
        pass
    assert losses.take() == {"request_without_instrument": 2}


# --- messages ------------------------------------------------------------------------------------------------------

BOTO3: dict[str, Any] = {
    "MessageId": "19dd0b57",
    "Body": "{}",
    "Attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1523232000000"},
    "MessageAttributes": {
        "traceparent": {"StringValue": TRACEPARENT, "DataType": "String"},
        "baggage": {"StringValue": "tenant=acme", "DataType": "String"},
    },
}
RECORD: dict[str, Any] = {
    "messageId": "059f36b4",
    "body": "{}",
    "attributes": {"ApproximateReceiveCount": "1"},
    "messageAttributes": {"traceparent": {"stringValue": TRACEPARENT, "dataType": "String"}},
    "eventSource": "aws:sqs",
    "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
}
BUS: dict[str, Any] = {
    "version": "0",
    "id": "6a7e8feb",
    "detail-type": "ChatCompletion",
    "source": "ai-platform",
    "detail": {"model": "gpt-4o", "tokens": 7, "status": "ok", "user_id": "u1", "traceparent": TRACEPARENT},
}


@pytest.mark.parametrize(
    ("message", "queue", "route", "tags"),
    [
        (BOTO3, "https://sqs.eu-central-1.amazonaws.com/123/jobs", "jobs", {"attempt": "2", "message_id": "19dd0b57"}),
        (RECORD, "", "my-queue", {"attempt": "1", "message_id": "059f36b4"}),
        (BUS, "", "ChatCompletion", {"message_id": "6a7e8feb"}),
    ],
)
def test_a_message_is_a_request_in_the_trace_it_carries(
    writer: MemoryWriter, message: dict[str, Any], queue: str, route: str, tags: dict[str, str]
) -> None:
    with consume(message, queue=queue):
        call_a_model()
    (row,) = rows(writer)
    assert (row.method, row.route, row.trace_id, row.parent_span_id) == ("QUEUE", route, TRACE, "00f067aa0ba902b7")
    assert row.tags == tags
    assert calls(writer)[0].request_id == row.request_id
    assert row.tenant_id == ("acme" if message is BOTO3 else "")


def test_a_message_that_comes_twice_is_two_requests_of_one_trace(writer: MemoryWriter) -> None:
    for attempt in ("1", "2"):
        with consume(BOTO3 | {"Attributes": {"ApproximateReceiveCount": attempt}}, queue="jobs"):
            pass
    first, second = rows(writer)
    assert [row.tags["attempt"] for row in (first, second)] == ["1", "2"]
    assert first.request_id != second.request_id
    assert first.trace_id == second.trace_id == TRACE


DATADOG = json.dumps({"x-datadog-trace-id": "7", "traceparent": TRACEPARENT})
DATADOG_64 = base64.b64encode(DATADOG.encode()).decode()


@pytest.mark.parametrize(
    "message",
    [
        {"messageAttributes": {"_datadog": {"stringValue": DATADOG, "dataType": "String"}}},
        {"messageAttributes": {"_datadog": {"binaryValue": DATADOG_64}}},
        {"MessageAttributes": {"_datadog": {"BinaryValue": DATADOG.encode(), "DataType": "Binary"}}},
        {"detail-type": "x", "detail": {"_datadog": json.loads(DATADOG)}},
        {"Sns": {"MessageAttributes": {"traceparent": {"Type": "String", "Value": TRACEPARENT}}}},
        {"Body": json.dumps({"MessageAttributes": {"traceparent": {"Type": "String", "Value": TRACEPARENT}}})},
        {"body": json.dumps({"MessageAttributes": {"_datadog": {"Type": "Binary", "Value": DATADOG_64}}})},
    ],
)  # fmt: skip
def test_every_place_a_trace_travels_in(message: dict[str, Any]) -> None:
    assert read_delivery(message).headers[b"traceparent"] == TRACEPARENT.encode()


def test_the_system_attribute_of_x_ray_is_a_header() -> None:
    header = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1"
    delivery = read_delivery({"attributes": {"AWSTraceHeader": header}})
    assert delivery.headers == {b"x-amzn-trace-id": header.encode()}


def test_a_message_that_x_ray_traced_goes_on_in_its_trace(writer: MemoryWriter) -> None:
    header = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1"
    with consume({"Attributes": {"AWSTraceHeader": header}}, queue="jobs"):
        pass
    (row,) = rows(writer)
    assert (row.trace_id, row.parent_span_id) == ("67891233abcdef012345678912345678", "53995c3f42cd8ad8")


def test_in_otel_mode_a_job_is_a_row_and_its_calls_belong_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(active, "_default", [])
    otel = MemoryWriter()
    instrument(writer=otel, mode="otel", service="worker")
    with job("outer"), step("part"):
        with consume(BOTO3, queue="jobs"):
            call_a_model()
        call_a_model()
    message, outer = rows(otel)
    inner_call, outer_call = calls(otel)
    assert [row.route for row in (message, outer)] == ["jobs", "outer"]
    assert len({row.span_id for row in (message, outer)}) == 2
    assert [call.request_id for call in (inner_call, outer_call)] == [message.request_id, outer.request_id]
    assert (outer.llm_calls, message.llm_calls) == (1, 1)


def test_a_lean_request_takes_no_ids_of_a_server_span_that_belongs_to_another_app(writer: MemoryWriter) -> None:
    with job("lean"), TracerProvider().get_tracer("fastapi").start_as_current_span("GET /") as span:
        context = current_request()
        assert context is not None
        adopt(context, span, OpenSpans())
        own = (context.trace_id, context.span_id)
    assert own == (rows(writer)[0].trace_id, rows(writer)[0].span_id)
    assert trace.format_span_id(span.get_span_context().span_id) not in own


def test_what_a_producer_sends_the_consumer_continues(writer: MemoryWriter) -> None:
    with job("producer"):
        annotate(tenant_id="größe, 5 %")
        with step("send"):
            attributes, headers = trace_attributes(), trace_headers()
    with consume({"MessageAttributes": attributes}, queue="jobs"):
        pass
    with consume(BUS | {"detail": headers}):
        pass
    producer, *consumers = rows(writer)
    assert {row.trace_id for row in consumers} == {producer.trace_id}
    assert {row.parent_span_id for row in consumers} == {producer.steps[0].span_id}
    assert {row.tenant_id for row in consumers} == {"größe, 5 %"}
    assert (trace_headers(), trace_attributes()) == ({}, {})


def test_consume_decorates_functions_of_a_message(writer: MemoryWriter) -> None:
    @consume(queue="jobs")
    def plain(message: dict[str, Any]) -> str:
        return str(message["MessageId"])

    @consume(queue="jobs")
    async def coroutine(message: dict[str, Any]) -> str:
        return str(message["MessageId"])

    assert (plain(BOTO3), asyncio.run(coroutine(BOTO3))) == ("19dd0b57", "19dd0b57")
    assert [row.route for row in rows(writer)] == ["jobs", "jobs"]


@pytest.mark.parametrize(("suffix", "failed"), [("", ["b"]), (".fifo", ["b", "c"])])
def test_a_batch_is_a_row_for_each_record_and_tells_which_failed(
    writer: MemoryWriter, suffix: str, failed: list[str]
) -> None:
    arn = "arn:aws:sqs:us-east-2:123456789012:my-queue" + suffix
    records = [{"messageId": name, "body": name, "eventSourceARN": arn} for name in "abc"]

    def handle(record: dict[str, Any]) -> None:
        if record["body"] == "b":
            raise ValueError("b")

    answer = consume_batch({"Records": records}, handle)
    assert answer == {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}
    handled = ["a", "b", "c"] if not suffix else ["a", "b"]
    assert [row.tags["message_id"] for row in rows(writer)] == handled
    assert [row.error_type for row in rows(writer)] == ["ValueError" if name == "b" else "" for name in handled]


WORDS = [
    "Attributes", "attributes", "MessageAttributes", "messageAttributes", "StringValue", "BinaryValue", "Value", "Type",
    "detail", "detail-type", "Sns", "TopicArn", "body", "eventSourceARN", "_datadog", "traceparent", "baggage", "id",
    "AWSTraceHeader", "ApproximateReceiveCount", "x\ud800",
]  # fmt: skip
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.binary()
    | st.sampled_from([TRACEPARENT, DATADOG, "\ud800"])
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(message=values, queue=st.text())
@settings(deadline=None, max_examples=300)
def test_no_message_breaks_its_consumer(message: object, queue: str) -> None:
    writer = MemoryWriter()
    active._default[:] = []
    losses.take()
    instrument(writer=writer, mode="lean", service="worker", baggage=BAGGAGE, propagate_baggage=BAGGAGE)
    with consume(message, queue=queue):
        pass
    assert len(rows(writer)) == 1
    assert losses.take() == {}


def test_queue_names() -> None:
    assert [queue_name(text) for text in ("", "jobs", "a/b/", "arn:aws:sns:eu-west-1:1:topic")] == [
        "", "jobs", "b", "topic",
    ]  # fmt: skip


# --- threads -------------------------------------------------------------------------------------------------------


def in_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def in_a_timer(work: Callable[[], None]) -> None:
    timer = threading.Timer(0, work)
    timer.start()
    timer.join()


def in_a_pool(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def in_an_executor(work: Callable[[], None]) -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, work)

    asyncio.run(main())


@pytest.mark.parametrize("way", [in_a_thread, in_a_timer, in_a_pool, in_an_executor])
def test_calls_in_threads_belong_to_the_request_that_started_them(
    writer: MemoryWriter, way: Callable[[Callable[[], None]], None]
) -> None:
    with job("j"), step("part"):
        way(call_a_model)
    (row,), (call,) = rows(writer), calls(writer)
    assert (call.request_id, call.parent_span_id, row.llm_calls) == (row.request_id, row.steps[0].span_id, 1)


def test_a_pools_thread_keeps_nothing_of_the_request_that_made_it_start(writer: MemoryWriter) -> None:
    with ThreadPoolExecutor(1) as pool:
        with job("first"):
            pool.submit(call_a_model).result()
        pool.submit(call_a_model).result()
        with job("second"):
            pool.submit(call_a_model).result()
    first, second = rows(writer)
    assert [call.request_id for call in calls(writer)] == [first.request_id, "", second.request_id]


def test_a_thread_may_outlive_its_request(writer: MemoryWriter) -> None:
    go = threading.Event()

    def work() -> None:
        go.wait(10)
        call_a_model()

    thread = threading.Thread(target=work)
    with job("j"):
        thread.start()
    go.set()
    thread.join()
    (row,), (call,) = rows(writer), calls(writer)
    assert (call.request_id, call.route, row.llm_calls) == (row.request_id, "j", 0)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_waits_for_no_lock_and_tells_no_loss_of_its_parent() -> None:
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with losses._lock:
            held.set()
            free.wait(20)

    losses.add("of_the_parent")
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        losses.add("of_the_child")
        os._exit(0 if losses.take() == {"of_the_child": 1} else 1)
    free.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert losses.take() == {"of_the_parent": 1}
