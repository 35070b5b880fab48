"""Whatever the events hold, every document is one that X-Ray takes, and tells of every event once."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xray_documents import Judge, walk

from tollmeter.exporters.derive.segments import documents
from tollmeter.exporters.derive.traces import Trace
from tollmeter.model.events import LlmCall, Request, Step
from tollmeter.model.ids import imported_event_id

pytestmark = pytest.mark.shared_data

TEXT = st.text(max_size=30) | st.sampled_from(
    [
        "",
        "\x00\x1f\x7f",
        "\ud800 lone",
        "x" * 4096,
        "\N{GRINNING FACE}" * 4096,
        '"\\' * 2048,
        "AWS.x",
        "a\u2028b",
        "-" * 999,
    ]
)
SPANS = st.sampled_from(["", "0" * 16, "1" * 16, "2" * 16, "3" * 16, "4" * 16, "F" * 16, "not a span", "x" * 256])
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  made aware
MILLIS = st.floats(0, 1e12)
COUNTS = st.none() | st.integers(0, 2**63 - 1)
MONEY = st.none() | st.decimals(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [Decimal("1E-12"), Decimal("1E+400"), Decimal("0." + "3" * 60), Decimal("Infinity"), Decimal("NaN")]
)  # fmt: skip
TAGS = st.dictionaries(TEXT, TEXT, max_size=12)
SHARED = {
    "service": TEXT, "version": TEXT, "environment": TEXT, "account_id": TEXT, "span_id": SPANS, "user_id": TEXT,
    "parent_span_id": SPANS, "tenant_id": TEXT, "feature": TEXT, "team": TEXT, "route": TEXT, "request_id": TEXT,
    "tags": TAGS, "error_type": TEXT, "input_tokens": st.integers(0, 2**63 - 1), "output_tokens": st.integers(0, 99),
    "cost_usd": MONEY, "timestamp": TIMES, "losses": st.dictionaries(TEXT, st.integers(0, 9), max_size=2),
}  # fmt: skip
STEPS = st.builds(
    Step, name=TEXT, start_ms=MILLIS, duration_ms=MILLIS, span_id=SPANS, parent_span_id=SPANS, error_type=TEXT
)
REQUESTS = st.fixed_dictionaries(
    SHARED
    | {
        "steps": st.lists(STEPS, max_size=8),
        "method": TEXT,
        "status_code": st.none() | st.integers(0, 1000),
        "duration_ms": MILLIS,
        "response_bytes": COUNTS,
        "llm_calls": st.integers(0, 5),
        "client_disconnected": st.booleans(),
    }
)
CALLS = st.fixed_dictionaries(
    SHARED
    | {
        "provider": TEXT | st.just("aws.bedrock"),
        "operation": TEXT,
        "request_model": TEXT,
        "response_model": TEXT,
        "inference_region": TEXT,
        "provider_request_id": TEXT,
        "raw_usage": TEXT,
        "status": st.sampled_from(["ok", "error", "partial"]),
        "http_status": st.none() | st.integers(0, 1000),
        "latency_ms": MILLIS,
        "server_tool_calls": st.dictionaries(TEXT, st.integers(0, 9), max_size=2),
    }
)


@pytest.fixture(scope="session")
def judge(shared: Path) -> Judge:
    return Judge(shared)


def event(kind: type[Any], number: int, facts: dict[str, Any]) -> Any:
    return kind(event_id=imported_event_id("fuzz", str(number)), trace_id="4" * 32, **facts)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(st.none() | REQUESTS, st.lists(CALLS, min_size=1, max_size=12))
def test_any_trace_is_documents_that_are_taken(
    judge: Judge, request_facts: dict[str, Any] | None, calls: list[dict[str, Any]]
) -> None:
    made = tuple(event(LlmCall, number, facts) for number, facts in enumerate(calls))
    trace = Trace(event(Request, 99, request_facts) if request_facts else None, made)
    found = documents(trace)
    assert sum(document.lines for document in found) == trace.lines
    if trace.request:
        parsed = judge.check(found)
        told = sum(1 for document in parsed for _ in walk(document))
        assert told == 1 + len(trace.request.steps) + len(made)
        return
    for alone in made:  # each is a document of its own, of ids that are its own
        judge.check(documents(Trace(None, (alone,))))
