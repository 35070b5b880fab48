"""Events as spans: names, ids, times and attributes, as the conventions have them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.semconv._incubating.attributes import (
    cloud_attributes,
    deployment_attributes,
    enduser_attributes,
    error_attributes,
    http_attributes,
    service_attributes,
    session_attributes,
)

from tollmeter.exporters.derive.spans import Span, cut, spans
from tollmeter.exporters.sinks.otlp import MAX_SPANS, Unit, batches
from tollmeter.exporters.span_wire import Answer, _readable, read_answer
from tollmeter.model.events import LlmCall, Request, Step
from tollmeter.model.ids import new_event_id
from tollmeter.model.names import GEN_AI_USAGE_CACHE_WRITE_TOKENS

WHEN = datetime(2026, 3, 1, 12, 0, 0, 123457, tzinfo=UTC)
START = 1_772_366_400_123_457_000
TRACE, ROOT, STEP, CALL = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "00f067aa0ba902b8", "00f067aa0ba902b9"
WHO: dict[str, Any] = {
    "service": "chat",
    "environment": "prod",
    "version": "1.2",
    "region": "eu-central-1",
    "account_id": "123456789012",
    "instance": "ab" * 8,
    "trace_id": TRACE,
    "request_id": "r1",
    "tenant_id": "acme",
    "user_id": "u1",
    "feature": "search",
    "tags": {"plan": "gold"},
}


def request(**facts: Any) -> Request:
    told = {"timestamp": WHEN, "span_id": ROOT, "method": "POST", "route": "/chat", "status_code": 200, **WHO, **facts}
    return Request(event_id=new_event_id(), **told)


def call(**facts: Any) -> LlmCall:
    told: dict[str, Any] = {
        "timestamp": WHEN,
        "span_id": CALL,
        "parent_span_id": STEP,
        "provider": "openai",
        "operation": "chat",
        "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06",
        "latency_ms": 812.345678,
        **WHO,
        **facts,
    }
    return LlmCall(event_id=new_event_id(), **told)


def test_a_request_is_a_server_span_and_its_steps_are_inside() -> None:
    steps = [Step(name="retrieve", start_ms=1.5, duration_ms=20.25, span_id=STEP, parent_span_id=ROOT)]
    found = spans(request(parent_span_id="b7ad6b7169203331", duration_ms=950.5, steps=steps))
    server, step = found
    assert (server.name, server.kind, server.remote_parent) == ("POST /chat", "server", True)
    assert (server.trace_id, server.span_id) == (int(TRACE, 16), int(ROOT, 16))
    assert server.parent_id == int("b7ad6b7169203331", 16)
    assert (server.start_ns, server.end_ns) == (START, START + 950_500_000)
    assert server.attributes["http.request.method"] == "POST"
    assert server.attributes["http.route"] == "/chat"
    assert server.attributes["http.response.status_code"] == 200
    assert server.attributes["tollmeter.tenant_id"] == "acme"
    assert server.attributes["enduser.id"] == "u1"
    assert server.attributes["tollmeter.tags.plan"] == "gold"
    assert not server.failed
    assert "gen_ai.conversation.id" not in server.attributes
    assert dict(server.resource) == {
        "service.name": "chat",
        "service.version": "1.2",
        "service.instance.id": "ab" * 8,
        "deployment.environment.name": "prod",
        "cloud.region": "eu-central-1",
        "cloud.account.id": "123456789012",
    }
    assert (step.name, step.kind, step.parent_id, step.trace_id) == (
        "retrieve",
        "internal",
        int(ROOT, 16),
        int(TRACE, 16),
    )
    assert (step.start_ns, step.end_ns) == (START + 1_500_000, START + 21_750_000)


def test_a_call_is_a_client_span_by_the_genai_conventions() -> None:
    [span] = spans(
        call(
            input_tokens=1200,
            output_tokens=300,
            cache_read_tokens=1000,
            cache_write_tokens=100,
            cache_write_1h_tokens=40,
            reasoning_tokens=250,
            max_tokens=512,
            stream=True,
            http_status=200,
            finish_reason="stop",
            provider_request_id="req_1",
            session_id="s1",
            service_tier="priority",
            ttft_ms=250.0,
            cost_usd=Decimal("0.000000000123"),
            cost_status="priced",
        )
    )
    assert (span.name, span.kind, span.parent_id, span.remote_parent) == ("chat gpt-4o", "client", int(STEP, 16), False)
    assert span.end_ns - span.start_ns == 812_345_678
    expected = {
        "gen_ai.provider.name": "openai",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "req_1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.request.max_tokens": 512,
        "gen_ai.request.stream": True,
        "gen_ai.conversation.id": "s1",
        "gen_ai.usage.input_tokens": 1200,
        "gen_ai.usage.output_tokens": 300,
        "gen_ai.usage.cache_read.input_tokens": 1000,
        "gen_ai.usage.cache_write.input_tokens": 100,
        "gen_ai.usage.cache_creation.input_tokens": 100,
        "gen_ai.usage.reasoning.output_tokens": 250,
        "openai.response.service_tier": "priority",
        "http.response.status_code": 200,
        "tollmeter.cache_write_1h_tokens": 40,
        "tollmeter.cost_usd": 1.23e-10,
        "tollmeter.cost_status": "priced",
    }
    assert {name: span.attributes.get(name) for name in expected} == expected
    assert Decimal(str(span.attributes["tollmeter.cost_usd_exact"])) == Decimal("0.000000000123")
    assert "error.type" not in span.attributes


@pytest.mark.parametrize(
    ("event", "error", "failed"),
    [
        (call(status="error", http_status=429), "429", True),
        (call(status="error", error_type="APIConnectionError"), "APIConnectionError", True),
        (call(status="error"), "_OTHER", True),
        (call(status="partial"), None, False),
        (request(status_code=503), "503", True),
        (request(status_code=404), None, False),
        (request(status_code=500, error_type="ValueError"), "ValueError", True),
    ],
)
def test_failures_are_the_status_and_the_error_type(event: Any, error: str | None, failed: bool) -> None:
    span = spans(event)[0]
    assert (span.attributes.get("error.type"), span.failed) == (error, failed)


@pytest.mark.parametrize(("method", "kind"), [("QUEUE", "consumer"), ("LAMBDA", "server"), ("WEBSOCKET", "server")])
def test_what_is_not_http_has_no_http_method(method: str, kind: str) -> None:
    [span] = spans(request(method=method, status_code=None))
    assert (span.kind, span.name, span.attributes["tollmeter.method"]) == (kind, f"{method} /chat", method)
    assert "http.request.method" not in span.attributes


@pytest.mark.parametrize("ids", [{"trace_id": ""}, {"trace_id": "0" * 32}, {"trace_id": "x" * 32}, {"span_id": "12"}])
def test_an_event_without_the_ids_of_a_span_is_none(ids: dict[str, str]) -> None:
    assert spans(call(**ids)) == []
    assert spans(request(**ids)) == []


def test_a_time_before_1970_is_no_spans() -> None:
    assert spans(call(timestamp=datetime(1969, 12, 31, tzinfo=UTC))) == []
    assert spans(call(timestamp=datetime(9999, 12, 31, tzinfo=UTC))) == []


def test_every_name_is_of_the_conventions_or_our_own(shared: Path) -> None:
    facts: dict[str, Any] = {name: 1 for name in LlmCall.__struct_fields__ if name.endswith("_tokens")}
    full = call(
        **facts, stream=True, http_status=200, finish_reason="stop", provider_request_id="r", session_id="s",
        service_tier="flex", ttft_ms=1.0, cost_usd=Decimal(1), status="error", error_type="E", prompt_name="p",
    )  # fmt: skip
    both = [*spans(full), *spans(request(response_bytes=1, error_type="E", session_id="s", prompt_name="p"))]
    known = json.loads((shared / "schemas/otel/gen_ai_names.json").read_text())
    allowed = {name for text in known.values() for name, told in text["attributes"].items() if not told["deprecated"]}
    for module in (
        cloud_attributes, deployment_attributes, enduser_attributes, error_attributes, http_attributes,
        service_attributes, session_attributes,
    ):  # fmt: skip
        allowed |= {value for value in vars(module).values() if isinstance(value, str)}
    allowed.add(GEN_AI_USAGE_CACHE_WRITE_TOKENS)  # newer than the conventions kept here
    named = {name for span in both for name in (*span.attributes, *dict(span.resource))}
    assert {name for name in named if not name.startswith("tollmeter.")} <= allowed
    types = known["semconv-genai-2026-05-11"]["attributes"]
    python = {"int": int, "string": str, "double": float, "boolean": bool, "string[]": tuple, "enum": str}
    for span in both:
        for name, value in span.attributes.items():
            if name in types:
                assert type(value) is python[types[name]["type"]], name


def test_text_is_cut_between_characters() -> None:
    assert cut("é" * 600) == "é" * 512
    assert cut("x" * 5000) == "x" * 1024
    assert cut("a\ud800b") == "a?b"


HOSTILE = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=[]), max_size=40),
    st.sampled_from(["\x00", "\n|#,:", "x" * 4096, "🜚" * 4096, "\ud800", "-1", "٣"]),
)


@given(
    names=st.fixed_dictionaries(dict.fromkeys(("service", "user_id", "request_model", "error_type", "route"), HOSTILE)),
    ids=st.fixed_dictionaries(
        {key: st.one_of(HOSTILE.map(lambda s: s[:256]), st.just("a" * 32)) for key in ("trace_id", "span_id")}
    ),
    tags=st.dictionaries(HOSTILE, HOSTILE, max_size=3),
    cost=st.one_of(st.none(), st.decimals(allow_nan=True, allow_infinity=True), st.just(Decimal("1E+999999"))),
)
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_a_span(names: dict[str, str], ids: dict[str, str], tags: dict[str, str], cost: Any) -> None:
    facts: dict[str, Any] = {"event_id": new_event_id(), "timestamp": WHEN, "tags": tags, "cost_usd": cost, **names}
    for about in (ids, {"trace_id": TRACE, "span_id": CALL}):
        told: dict[str, Any] = facts | about
        made = spans(LlmCall(**told))
        encoded = encode_spans([_readable(span) for span in made])
        assert sum(span.size for span in made) >= encoded.ByteSize()


def test_the_largest_event_is_a_span_that_x_ray_takes() -> None:
    long = "🜚" * 4096
    facts: dict[str, Any] = dict.fromkeys(
        ("user_id", "tenant_id", "feature", "request_model", "response_model", "price_ref"), long
    )
    event = call(**facts, tags={f"{index}{long}": long for index in range(200)})
    [span] = spans(event)
    assert encode_spans([_readable(span)]).ByteSize() < 200_000


def unit(start_ns: int = START, *, spans_: int = 1, size: int = 100) -> Unit:
    [span] = spans(call())
    return Unit(call(), (replace(span, start_ns=start_ns),) * spans_, size)


def test_requests_hold_what_receivers_take() -> None:
    assert [len(batch) for batch in batches([unit()] * 3)] == [3]
    assert [len(batch) for batch in batches([unit(size=3 << 20)] * 3)] == [1, 1, 1]
    assert [len(batch) for batch in batches([unit(spans_=MAX_SPANS // 2)] * 3)] == [2, 1]
    day = int(timedelta(days=1).total_seconds() * 10**9)
    assert [len(batch) for batch in batches([unit(), unit(START + day), unit(START - 1)])] == [2, 1]
    assert list(batches([])) == []


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (200, {}, b"", Answer("taken")),
        (202, {}, b"", Answer("taken")),
        (200, {"Content-Type": "application/json"}, b"{}", Answer("taken")),
        (
            200,
            {"Content-Type": "application/json"},
            b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}',
            Answer("taken", 3, reason="no"),
        ),
        (200, {"Content-Type": "application/json"}, b'{"partialSuccess":null}', Answer("taken")),
        (400, {}, b"", Answer("refused", reason="HTTP 400")),
        (413, {}, b"", Answer("refused", reason="HTTP 413")),
        (301, {"Location": "https://elsewhere"}, b"", Answer("failed", reason="HTTP 301")),
        (401, {}, b"", Answer("failed", reason="HTTP 401")),
        (429, {"Retry-After": "7"}, b"", Answer("failed", wait_s=7.0, reason="HTTP 429")),
        (503, {"Retry-After": "1e9"}, b"", Answer("failed", wait_s=300.0, reason="HTTP 503")),
        (503, {"Retry-After": "nan"}, b"", Answer("failed", reason="HTTP 503")),
        (503, {"Retry-After": "soon"}, b"", Answer("failed", reason="HTTP 503")),
        (503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, b"", Answer("failed", reason="HTTP 503")),
    ],
)
def test_answers_are_understood(status: int, headers: dict[str, str], body: bytes, expected: Answer) -> None:
    assert read_answer(status, headers, body) == expected


@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/html", b"<html>"), ("application/x-protobuf", b"\xff\xff"), ("application/json", b"["), ("", b"ok")],
)
def test_a_page_is_no_answer(kind: str, body: bytes) -> None:
    assert read_answer(200, {"Content-Type": kind}, body).verdict == "unclear"


def test_spans_are_values() -> None:
    [span] = spans(call())
    assert isinstance(span, Span)
    assert spans(call()) == [span]
