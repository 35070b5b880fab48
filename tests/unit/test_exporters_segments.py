"""Traces to X-Ray's documents: the tree, the blocks, the limits."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from xray_documents import SCHEMA, Judge, walk

from tollmeter.exporters.derive.segment_text import name_of, trace_id_of
from tollmeter.exporters.derive.segments import documents
from tollmeter.exporters.derive.traces import Trace
from tollmeter.model.events import LlmCall, Request, Step
from tollmeter.model.ids import new_event_id

pytestmark = pytest.mark.shared_data
TRACE, ROOT = "4efaaf4d1e8720b39541901950019ee5", "1-4efaaf4d-1e8720b39541901950019ee5"
AT = datetime(2026, 11, 24, 12, 0, 0, 123456, UTC)
EPOCH_S = AT.timestamp()


@pytest.fixture(scope="session")
def judge(shared: Path) -> Judge:
    return Judge(shared)


def span(number: int) -> str:
    return f"{number:016x}"


def request(**facts: Any) -> Request:
    known = {"trace_id": TRACE, "span_id": span(1), "request_id": "r1", "service": "chat", "timestamp": AT, **facts}
    return Request(event_id=new_event_id(), **known)


def call(**facts: Any) -> LlmCall:
    known = {
        "trace_id": TRACE, "span_id": span(9), "parent_span_id": span(1), "request_id": "r1", "service": "chat",
        "timestamp": AT, "provider": "openai", "request_model": "gpt-4o", **facts,
    }  # fmt: skip
    return LlmCall(event_id=new_event_id(), **known)


def one(judge: Judge, trace: Trace) -> dict[str, Any]:
    made = documents(trace)
    assert sum(document.lines for document in made) == trace.lines
    [found] = judge.check(made)
    return found


def test_a_request_is_a_segment(judge: Judge) -> None:
    found = one(
        judge,
        Trace(
            request(
                parent_span_id=span(7), method="POST", route="/chat/{id}", status_code=200, duration_ms=250.5,
                response_bytes=512, user_id="u1", tenant_id="acme", feature="search", environment="prod", version="1.2",
                account_id="123456789012", tags={"plan": "pro", "AWS.x": "y"}, llm_calls=1, input_tokens=10,
                output_tokens=5, cost_usd=Decimal("0.000123456789"), ttfb_ms=12.5,
            )
        ),
    )  # fmt: skip
    assert found == {
        "name": "chat",
        "id": span(1),
        "trace_id": ROOT,
        "parent_id": span(7),
        "start_time": pytest.approx(Decimal(str(EPOCH_S)), abs=Decimal("1e-6")),
        "end_time": pytest.approx(Decimal(str(EPOCH_S)) + Decimal("0.2505"), abs=Decimal("1e-6")),
        "http": {
            "request": {"method": "POST", "url": "/chat/{id}"},
            "response": {"status": 200, "content_length": 512},
        },
        "user": "u1",
        "service": {"version": "1.2"},
        "aws": {"xray": {"sdk": "tollmeter", "auto_instrumentation": True}, "account_id": "123456789012"},
        "annotations": {
            "request_id": "r1",
            "tenant": "acme",
            "feature": "search",
            "route": "/chat/{id}",
            "environment": "prod",
            "status": "ok",
            "total_tokens": 15,
            "total_cost_usd": Decimal("0.000123456789"),
        },
        "metadata": {
            "tollmeter": {
                "version": "1.2",
                "account_id": "123456789012",
                "user_id": "u1",
                "status_code": 200,
                "response_bytes": 512,
                "ttfb_ms": Decimal("12.5"),
                "llm_calls": 1,
                "input_tokens": 10,
                "output_tokens": 5,
                "cost_usd": Decimal("0.000123456789"),
            },
            "tags": {"plan": "pro", "_AWS.x": "y"},
        },
    }


@pytest.mark.parametrize(
    ("facts", "flags", "status", "cause"),
    [
        ({"status_code": 200}, {}, "ok", ""),
        ({"status_code": 404}, {"error"}, "ok", ""),
        ({"status_code": 429}, {"error", "throttle"}, "ok", ""),
        ({"status_code": 500, "error_type": "ValueError"}, {"fault"}, "error", "ValueError"),
        ({"status_code": 502}, {"fault"}, "error", ""),
        ({"error_type": "TimeoutError"}, {"fault"}, "error", "TimeoutError"),
        ({"error_type": "CancelledError", "client_disconnected": True}, {}, "partial", ""),
        ({"status_code": 499, "client_disconnected": True}, {"error"}, "partial", ""),
    ],
)
def test_how_a_request_ended(judge: Judge, facts: dict[str, Any], flags: set[str], status: str, cause: str) -> None:
    found = one(judge, Trace(request(**facts)))
    assert {flag for flag in ("error", "fault", "throttle") if found.get(flag)} == set(flags)
    assert found["annotations"]["status"] == status
    assert [each["type"] for each in found.get("cause", {}).get("exceptions", [])] == ([cause] if cause else [])


def test_a_call_is_a_remote_subsegment_below_its_step(judge: Judge) -> None:
    steps = [
        Step(name="rank", start_ms=20.0, duration_ms=5.0, span_id=span(3), parent_span_id=span(2)),
        Step(name="find", start_ms=10.0, duration_ms=9.0, span_id=span(2), parent_span_id=span(1), error_type="Lost"),
    ]  # fmt: skip
    made = call(
        parent_span_id=span(3), response_model="gpt-4o-2024-08-06", operation="chat", http_status=200, latency_ms=30.0,
        input_tokens=10, output_tokens=5, cost_usd=Decimal("0.00007500"), finish_reason="stop", tenant_id="other",
    )  # fmt: skip
    inner = call(span_id=span(10), parent_span_id=span(9), status="error", error_type="Overloaded", http_status=529)
    found = one(judge, Trace(request(steps=steps, tenant_id="acme"), (made, inner)))
    [find] = found["subsegments"]
    [rank] = find["subsegments"]
    [told] = rank["subsegments"]
    [within] = told["subsegments"]
    assert (find["name"], rank["name"], "namespace" in find) == ("find", "rank", False)
    assert (find["fault"], find["cause"]["exceptions"][0]["type"]) == (True, "Lost")
    assert rank["start_time"] - found["start_time"] == pytest.approx(Decimal("0.02"), abs=Decimal("1e-6"))
    assert (told["name"], told["namespace"], told["id"]) == ("openai", "remote", span(9))
    assert told["http"] == {"request": {"method": "POST"}, "response": {"status": 200}}
    assert told["annotations"] == {
        "model": "gpt-4o-2024-08-06",
        "provider": "openai",
        "operation": "chat",
        "status": "ok",
        "tokens": 15,
        "cost_usd": Decimal("0.000075"),
        "tenant": "other",
    }
    assert told["metadata"]["tollmeter"] == {
        "request_id": "r1",
        "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06",
        "http_status": 200,
        "finish_reason": "stop",
        "input_tokens": 10,
        "output_tokens": 5,
    }
    assert (within["fault"], within["cause"]["exceptions"][0]["remote"]) == (True, True)
    assert within["annotations"]["status"] == "error"


def test_bedrock_is_the_node_that_awss_own_instrumentation_draws(judge: Judge) -> None:
    bedrock = call(provider="aws.bedrock", inference_region="us-west-2", provider_request_id="req-1", http_status=429)
    [found] = one(judge, Trace(request(), (bedrock,)))["subsegments"]
    assert (found["name"], found["namespace"]) == ("Bedrock Runtime", "aws")
    assert found["aws"] == {"region": "us-west-2", "request_id": "req-1"}
    assert (found["error"], found["throttle"], "fault" in found) == (True, True, False)
    assert found["annotations"]["provider"] == "aws.bedrock"


def test_a_call_outside_of_any_request_is_below_a_segment_of_its_service(judge: Judge) -> None:
    alone = call(request_id="", parent_span_id="", tenant_id="acme", user_id="u1")
    found = one(judge, Trace(None, (alone,)))
    assert (found["name"], found["user"], "parent_id" in found) == ("chat", "u1", False)
    [below] = found["subsegments"]
    assert (below["id"], below["annotations"]["tenant"]) == (alone.span_id, "acme")
    assert documents(Trace(None, (alone,))) == documents(Trace(None, (alone,)))  # made again, it is the same
    assert one(judge, Trace(None, (call(request_id=""),)))["parent_id"] == span(1)


def test_a_call_that_outlived_its_request_is_a_subsegment_of_its_own(judge: Judge) -> None:
    late = [call(span_id=span(number), tenant_id="acme") for number in (20, 21)]
    made = documents(Trace(None, tuple(late)))
    first, second = judge.check(made)
    assert [document.lines for document in made] == [1, 1]
    assert (first["type"], first["trace_id"], first["parent_id"]) == ("subsegment", ROOT, span(1))
    assert (first["id"], second["id"]) == (span(20), span(21))
    assert first["annotations"]["request_id"] == "r1"
    assert first["annotations"]["tenant"] == "acme"


@pytest.mark.parametrize(
    "steps",
    [
        [(2, 2)],
        [(2, 3), (3, 2)],
        [(2, 3), (3, 4), (4, 2)],
        [(2, 99)],
        [(1, 1)],
        [(2, 1), (2, 1)],
        [(0, 0)],
    ],
)
def test_a_tree_that_is_none_becomes_one(judge: Judge, steps: list[tuple[int, int]]) -> None:
    made = [
        Step(name=f"s{n}", start_ms=0.0, duration_ms=1.0, span_id=span(n) if n else "?", parent_span_id=span(p))
        for n, p in steps
    ]
    found = one(judge, Trace(request(steps=made), (call(parent_span_id=span(2)),)))
    assert sorted(node["name"] for node in walk(found)) == sorted(["chat", "openai", *(f"s{n}" for n, _ in steps)])


def test_what_is_larger_than_a_document_is_sent_apart_and_nothing_is_lost(judge: Judge) -> None:
    calls = tuple(
        call(span_id=span(100 + n), input_tokens=n, output_tokens=1, cost_usd=Decimal(n) / 1000, raw_usage="x" * 4000)
        for n in range(40)
    )
    trace = Trace(request(), calls)
    made = documents(trace)
    found = judge.check(made)
    assert (made[0].segment_id, found[0]["name"]) == (span(1), "chat")
    assert len(found) > 20
    assert sum(document.lines for document in made) == trace.lines == 41
    assert {document["parent_id"] for document in found[1:]} == {span(1)}
    told = [node for document in found for node in walk(document) if node["name"] == "openai"]
    assert sum(node["metadata"]["tollmeter"]["input_tokens"] for node in told) == sum(range(40))
    assert {node["metadata"]["tollmeter"]["raw_usage"] for node in told} == {"x" * 4000}


def test_annotations_stay_within_what_is_indexed_and_the_failed_and_dear_come_first(judge: Judge) -> None:
    calls = [call(span_id=span(100 + n), cost_usd=Decimal(n), input_tokens=n, output_tokens=0) for n in range(20)]
    calls[3] = call(span_id=span(103), status="error", error_type="TimeoutError")
    found = one(judge, Trace(request(), tuple(calls)))
    annotated = {node["id"] for node in found["subsegments"] if "annotations" in node}
    assert {span(103), span(119), span(118)} <= annotated
    assert 5 <= len(annotated) < 20
    assert len(found["subsegments"]) == 20
    spent = [node.get("annotations", node["metadata"]["tollmeter"]).get("cost_usd", 0) for node in found["subsegments"]]
    assert sum(spent) == sum(range(20)) - 3


def test_a_subsegment_larger_than_a_document_says_what_it_left_out(judge: Judge) -> None:
    found = one(judge, Trace(request(tags={f"k{n}": "v" * 1000 for n in range(80)})))
    [reason] = found["metadata"]["tollmeter"].values()
    assert re.fullmatch(r"metadata left out: the document would have 8\d,\d{3} bytes", reason)
    assert found["annotations"]["request_id"] == "r1"


def test_a_text_longer_than_an_annotation_stands_whole_in_the_metadata(judge: Judge) -> None:
    found = one(judge, Trace(request(tenant_id="t" * 2000, feature="f")))
    assert found["annotations"]["tenant"] == "t" * 1000
    assert found["metadata"]["tollmeter"] == {"tenant_id": "t" * 2000}


def test_a_long_chain_of_steps_is_cut_where_readers_of_json_would_fail(judge: Judge) -> None:
    chain = [
        Step(name="deep", start_ms=0.0, duration_ms=1.0, span_id=span(n), parent_span_id=span(n - 1))
        for n in range(2, 102)
    ]
    found = judge.check(documents(Trace(request(steps=chain))))
    assert len(found) > 1
    assert sum(1 for document in found for node in walk(document) if node["name"] == "deep") == 100


def test_what_has_no_trace_id_is_no_trace() -> None:
    assert documents(Trace(request(trace_id=""))) == documents(Trace(request(trace_id="0" * 32))) == []
    assert trace_id_of(TRACE.upper()) == ""


def test_no_character_of_a_name_is_one_that_the_schema_forbids(shared: Path) -> None:
    pattern = json.loads((shared.parent / shared.name / SCHEMA).read_text())["properties"]["name"]["pattern"]
    assert "_" in name_of("_", "")
    kept = {char for code in range(sys.maxunicode + 1) if (char := name_of(f"x{chr(code)}x", "")[1:-1])}
    refused = sorted(char for char in kept if not re.search(pattern, char))
    assert refused == []
    assert {"é", "服", "½", "@"} <= kept
    assert len(kept) > 45_000
