"""Any text, wherever it comes from outside: the app does not feel it, and what is recorded is fit for every reader."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_receiver import spans_of
from statsd_socket import parsed
from tapping import recording

from tollmeter.etl.lines import MAX_LINE_BYTES, Line
from tollmeter.etl.parse import Parsed, parse_line
from tollmeter.etl.rows import event_table
from tollmeter.exporters.derive.cloudwatch import data, embedded
from tollmeter.exporters.derive.decode import decoded as derived
from tollmeter.exporters.derive.dimensions import DimensionBudget
from tollmeter.exporters.derive.metrics import Aggregator
from tollmeter.exporters.derive.segment_packing import MAX_DOCUMENT
from tollmeter.exporters.derive.segments import documents
from tollmeter.exporters.derive.spans import spans
from tollmeter.exporters.derive.traces import Trace
from tollmeter.exporters.log_stream import MAX_EVENT
from tollmeter.exporters.sinks.datadog_metrics import DatadogMetrics
from tollmeter.exporters.sinks.stdout import log_record
from tollmeter.exporters.span_wire import _readable
from tollmeter.instrumentation import annotate, evaluate, instrument, llm_call, record_cache_hit, step
from tollmeter.instrumentation.fallback import fallback_from
from tollmeter.instrumentation.text import clean_text
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, Request, decode
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings

NASTY = (
    "\0", "a\0b", "\x1b[31mred\x1b[0m", "\ud800", "x\udfffy", "\u202eevil", "é" * 300, "\U0001f4a5" * 400,
    "\r\nSet-Cookie: a=b",
    "\u2028", '"}\n{"kind":"request"}', "\\u0000", "a" * 5000, "\x07" * 3000, "|#,:@", "\ufeff", "\uffff",
)  # fmt: skip
MEGABYTE = '\U0001f4a5\0\x1b"\\' * 200_000
texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=80), st.characters(categories=("Cs", "Cc")))
headers = st.one_of(st.sampled_from([text.encode("utf-8", "surrogatepass") for text in NASTY]), st.binary(max_size=80))
DIMENSION = re.compile(r"(?!:)[\x20-\x7e]{1,1024}")
few = settings(max_examples=60, deadline=None)


def landed(writer: MemoryWriter) -> list[Any]:
    """The events, each as strict JSON that the ETL lands and logs can hold; none tells of a fault of ours."""
    events = []
    now = datetime.now(UTC)
    for line in writer.lines:
        json.loads(line.decode("utf-8"), parse_constant=_refused)
        event = decode(line)
        assert len(line) <= MAX_LINE_BYTES
        row = parse_line(Line(line.rstrip(b"\n"), len(line)), now)
        assert isinstance(row, Parsed), row
        assert row.extra is None
        assert event_table([row], "batch", now).num_rows == 1
        assert line.count(b"\n") == 1
        record = log_record(line)
        assert record
        assert len(msgspec.json.encode(record)) <= MAX_EVENT
        faults = [r for r in event.losses if r.startswith(("internal", "encode", "field_out_of_bounds"))]
        assert not faults
        events.append(event)
    _check_derived(writer.lines)
    return events


def _check_derived(lines: list[bytes]) -> None:
    """What sinks make of the lines holds to the rules of each format."""
    events, invalid = derived(lines)
    assert invalid == 0
    _check_segments(events)
    _check_spans(events)
    _check_datagrams(lines)
    aggregator = Aggregator(lambda _, value: value)
    points = aggregator.points(events)
    for datum in data(points, aggregator.sent):
        assert datum["Value"] >= 0 if "Value" in datum else len(datum["Values"]) <= 150
        assert all(DIMENSION.fullmatch(each["Value"]) for each in datum["Dimensions"])
    for document in embedded(points, aggregator.sent, "Tollmeter"):
        text = msgspec.json.encode(document)
        assert json.loads(text, parse_constant=_refused)["_aws"] == document["_aws"]
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert all(DIMENSION.fullmatch(document[name]) for names in directive["Dimensions"] for name in names)


def _check_segments(events: list[Any]) -> None:
    """Documents of X-Ray: JSON of at most 64 kB, names and strings within what its schema and prose allow."""
    request = next((event for event in events if isinstance(event, Request)), None)
    calls = tuple(event for event in events if isinstance(event, LlmCall))
    found = documents(Trace(request, calls)) if request or calls else []
    for document in found:
        assert len(document.text.encode()) <= MAX_DOCUMENT
        segment = json.loads(document.text, parse_constant=_refused)
        assert 0 < len(segment["name"]) <= 200
        assert re.fullmatch("1-[0-9a-f]{8}-[0-9a-f]{24}", segment["trace_id"])
        assert not re.search("[\0-\x08\x0b-\x1f\ud800-\udfff]", str(segment))
        for key, value in segment.get("annotations", {}).items():
            assert re.fullmatch("[A-Za-z0-9_]{1,500}", key)
            assert not isinstance(value, str) or len(value) <= 1000
    if not request:
        assert len(found) >= len(calls)


def _check_spans(events: list[Any]) -> None:
    """Spans of OTLP: protobuf takes them, no larger than they are told to be."""
    traced = [event for event in events if isinstance(event, Request | LlmCall)]
    made = [span for event in traced for span in spans(event)]
    assert len(made) >= len(traced)
    packed = encode_spans([_readable(span) for span in made]).SerializeToString()
    assert len(packed) <= sum(span.size for span in made)
    names = [span.name for span in spans_of(ExportTraceServiceRequest.FromString(packed))]
    assert Counter(names) == Counter(span.name for span in made)


def _check_datagrams(lines: list[bytes]) -> None:
    """Datagrams to an Agent: whole lines of the protocol alone."""
    sink, agent = _agent()
    receipt = sink.send([line.rstrip(b"\n") for line in lines])
    assert (receipt.acknowledged, receipt.error) == (len(lines), "")
    with suppress(BlockingIOError):
        while True:
            assert parsed(agent.recv(1 << 16, socket.MSG_DONTWAIT))


@cache
def _agent() -> tuple[DatadogMetrics, socket.socket]:
    agent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    agent.bind(("127.0.0.1", 0))
    chosen = Settings.load({}, statsd_address=f"udp://127.0.0.1:{agent.getsockname()[1]}")
    folder = Path(tempfile.mkdtemp())
    return DatadogMetrics(chosen, DimensionBudget.of(chosen, folder / "dimensions.json")), agent


def _refused(value: str) -> None:
    raise AssertionError(value)


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[tuple[Any, MemoryWriter]]:
    with recording() as writer:
        yield instrument(app, writer=writer, mode="lean", service="svc", **options), writer


def ask(
    app: Any, *, method: str = "GET", headers: list[tuple[bytes, bytes]] | None = None, route: str = "/x"
) -> list[Any]:
    sent: list[Any] = []
    scope = {
        "type": "http",
        "method": method,
        "path": "/x",
        "root_path": "",
        "headers": headers or [],
        "query_string": b"",
    }
    scope["route"] = type("Route", (), {"path": route})()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


MAPPINGS: dict[str, Any] = {
    "headers": {"tenant_id": "x-tenant", "user_id": "x-user"},
    "claims": {"team": "sub"},
    "baggage": {"session_id": "session"},
}
INCOMING = (
    b"x-request-id", b"traceparent", b"tracestate", b"baggage", b"x-tenant", b"x-user", b"authorization",
    b"x-amzn-trace-id", b"x-datadog-trace-id", b"x-datadog-parent-id", b"x-datadog-sampling-priority", b"host",
)  # fmt: skip


@few
@given(st.dictionaries(st.sampled_from(INCOMING), headers), texts)
def test_headers_of_a_request(sent: dict[bytes, bytes], method: str) -> None:
    with serving(answer, **MAPPINGS) as (app, writer):
        assert ask(app, method=method, headers=list(sent.items()))[-1]["body"] == b"ok"
        (event,) = landed(writer)
        assert event.status_code == 200
        assert event.trace_id
        assert event.request_id


@few
@given(texts, texts, texts, texts)
def test_what_the_application_says(one: str, two: str, three: str, route: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        annotate(user_id=one, tenant_id=two, feature=three, tags={one: two, two: three, three: one})
        with step(one), step(two), fallback_from(three), llm_call(provider=one, model=two, operation=three) as call:
            call.record_facts(response_model=one, finish_reason=two, provider_request_id=three, resource_id=one)
            call.record({"model": one, "usage": {one: two}, "choices": [{"finish_reason": three}]})
        evaluate(call.call_id or new_event_id(), one, 1.0, evaluator=two, comment=three)
        evaluate(one, two, 1.0)
        await answer(scope, receive, send)

    with serving(app) as (served, writer):
        assert ask(served, route=route)[-1]["body"] == b"ok"
        call, score, request = landed(writer)
        assert isinstance(call, LlmCall)
        assert isinstance(request, Request)
        assert score.call_id == call.event_id
        assert [each.name for each in request.steps] == [clean_text(two, 256), clean_text(one, 256)]
        assert (request.user_id, request.route) == (clean_text(one), clean_text(route))


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "value", [MEGABYTE, Unprintable(), 10**5000, b"\xff", None, float("nan"), object], ids=lambda v: type(v).__name__
)
def test_things_that_are_no_text(value: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        annotate(user_id=value, tags={f"{n}": value for n in range(100)} | {value: value})
        for _ in range(200):
            with step(value):
                pass
        with llm_call(provider=value, model=value, max_tokens=value) as call, fallback_from(value):
            call.record_usage(input_tokens=value, output_tokens=-1, server_tool_calls={value: value})
            call.record_facts(finish_reason=value, http_status=value, attempt=-1, cache_hit=value, max_tokens=2**64)
            call.record(value)
        evaluate(call.call_id, value, 1e308, comment=value)
        record_cache_hit(provider=value, model=value, answer=value)
        await answer(scope, receive, send)

    with serving(app) as (served, writer):
        assert ask(served, route=value if isinstance(value, str) else "/")[-1]["body"] == b"ok"
        calls = [event for event in landed(writer) if isinstance(event, LlmCall)]
        assert [(call.input_tokens, call.output_tokens) for call in calls] == [(None, None), (0, 0)]


def test_the_largest_event_there_can_be_is_landed() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        annotate(
            **dict.fromkeys(("user_id", "team", "session_id", "variant"), MEGABYTE),
            tags={f"{n}{MEGABYTE}": MEGABYTE for n in range(70)},
        )
        for _ in range(1000):
            with step(MEGABYTE):
                pass
        await answer(scope, receive, send)

    with serving(app, max_steps=1000) as (served, writer):
        ask(served)
        (event,) = landed(writer)
        assert len(event.tags) == 64
        assert len(event.steps) + event.steps_dropped == 1000
        assert event.steps


@few
@given(
    st.dictionaries(
        st.sampled_from(
            (
                b"x-request-id",
                b"request-id",
                b"x-amzn-requestid",
                b"x-ms-region",
                b"x-ms-deployment-name",
                b"x-gemini-service-tier",
                b"x-ratelimit-limit-requests",
                b"x-litellm-attempted-fallbacks",
                b"content-type",
                b"content-length-x",
                b"x-amzn-errortype",
                b"x-amzn-bedrock-input-token-count",
            )
        ),
        headers,
    ),
    texts,
    texts,
    st.sampled_from(("openai", "anthropic", "gemini", "bedrock", "cohere", "ollama")),
    st.booleans(),
)
def test_what_a_provider_answers(sent: dict[bytes, bytes], one: str, two: str, wire: str, stream: bool) -> None:
    kind = b"text/event-stream" if stream else b"application/json"
    document = json.dumps(ANSWERS[wire](one, two))
    body = f"data: {document}\n\n" if stream and wire != "ollama" else document + "\n"
    answered = httpx2.Response(200, headers=[*sent.items(), (b"content-type", kind)], content=body.encode())
    with recording(capture_content="all") as writer:
        with httpx2.Client(transport=httpx2.MockTransport(lambda _: answered)) as client:
            response = client.post(
                URLS[wire],
                content=json.dumps(
                    {"model": one, "max_tokens": 5, "messages": [{"role": two, "content": one}]}
                ).encode(),
                headers={"authorization": "Bearer x"},
            )
            assert response.content == body.encode()
        (call,) = landed(writer)
        assert isinstance(call, LlmCall)
        assert len(call.response_model) <= 256
        for content in (call.input_content, call.output_content):
            assert not content or all(message["role"] for message in json.loads(content))
            assert "\0" not in content


ANSWERS: dict[str, Any] = {
    "openai": lambda a, b: {
        "model": a,
        "service_tier": b,
        "status": b,
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, b: a},
        "choices": [{"finish_reason": b, "delta": {"content": a}}],
        "error": {"code": a} if b else None,
    },
    "anthropic": lambda a, b: {
        "type": "message_start",
        "message": {
            "model": a,
            "stop_reason": b,
            "usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": b, "inference_geo": a},
        },
        "error": {"type": a},
    },
    "gemini": lambda a, b: {
        "modelVersion": a,
        "responseId": b * 300,
        "candidates": [{"finishReason": b}],
        "usageMetadata": {"serviceTier": a, "promptTokenCount": 1},
        "error": {"status": a},
    },
    "bedrock": lambda a, b: {
        "model": a,
        "stopReason": b,
        "serviceTier": {"type": b},
        "usage": {"inputTokens": 1, "outputTokens": 1},
        "trace": {"promptRouter": {"invokedModelId": a}},
    },
    "cohere": lambda a, b: {
        "finish_reason": a,
        "generation_id": b * 300,
        "type": "message-end",
        "usage": {"tokens": {"input_tokens": 1}},
    },
    "ollama": lambda a, b: {"model": a, "done_reason": b, "done": True, "error": b, "message": {"content": a}},
}
URLS = {
    "openai": "https://api.openai.com/v1/chat/completions",
    "anthropic": "https://api.anthropic.com/v1/messages",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models/gemini-2:generateContent",
    "bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-3/converse",
    "cohere": "https://api.cohere.com/v2/chat",
    "ollama": "http://localhost:11434/api/chat",
}


def test_half_a_surrogate_pair_in_a_request_whose_answer_tells_no_usage() -> None:
    half = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "\\ud800"}], "tools": [{"name": "\\ud800"}]}'
    answered = httpx2.Response(200, json={"model": "gpt-4o", "choices": [{"message": {"content": "yes"}}]})
    with recording() as writer:
        with httpx2.Client(transport=httpx2.MockTransport(lambda _: answered)) as client:
            client.post(URLS["openai"], content=half)
        (call,) = landed(writer)
        assert (call.usage_source, call.response_model) == ("missing", "gpt-4o")
