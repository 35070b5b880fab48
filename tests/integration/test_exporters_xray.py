"""Traces to X-Ray: moto on loopback for what it can, a server of moods for what it cannot."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aws_server import aws_on_loopback, boto, lead_boto3_to
from xray_documents import Judge, walk

from tollmeter.exporters import aws as aws_module
from tollmeter.exporters.derive.segment_packing import Document
from tollmeter.exporters.derive.traces import Trace
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.sinks.xray import XRaySegments
from tollmeter.model.events import Event, LlmCall, Request, Step, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id, new_span_id, new_trace_id
from tollmeter.model.settings import Settings
from tollmeter.model.spool import close_segment, create_segment, service_folder

pytestmark = pytest.mark.shared_data
NOW = datetime.now(UTC)


def spool(home: Home, *events: Event) -> None:
    segment = create_segment(service_folder(home.spool, "chat"))
    for event in events:
        os.write(segment.fd, encode(event))
    close_segment(segment)


def forward(home: Home, **more: Any) -> Any:
    report = Forwarder(home, Settings.load({}, sinks=("xray",), forward_interval_s=0.05, **more)).run_once()
    report.check()
    return report


def traced(calls: int, **of_call: Any) -> list[Event]:
    """A request and the calls it made, as a process writes them."""
    ids: dict[str, Any] = {"trace_id": new_trace_id(), "request_id": new_event_id(), "service": "chat"}
    root, inside = new_span_id(), new_span_id()
    steps = [Step(name="ask", start_ms=1.0, duration_ms=5.0, span_id=inside, parent_span_id=root)]
    facts: dict[str, Any] = {
        "parent_span_id": inside,
        "provider": "openai",
        "request_model": "gpt-4o",
        "latency_ms": 3.0,
    }
    made: list[Event] = [
        LlmCall(
            event_id=new_event_id(),
            span_id=new_span_id(),
            timestamp=NOW,
            input_tokens=100 + n,
            output_tokens=7,
            cost_usd=Decimal("0.000123456789") * (n + 1),
            **(facts | ids | of_call),
        )
        for n in range(calls)
    ]
    whole: dict[str, Any] = {
        "method": "POST",
        "route": "/chat",
        "status_code": 200,
        "duration_ms": 9.0,
        "llm_calls": calls,
    }
    return [*made, Request(event_id=new_event_id(), timestamp=NOW, span_id=root, steps=steps, **(whole | ids))]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with aws_on_loopback() as url:
        lead_boto3_to(url, monkeypatch)
        yield url


def xray_id(event: Any) -> str:
    return f"1-{event.trace_id[:8]}-{event.trace_id[8:]}"


def told(trace_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    found = [
        trace
        for start in range(0, len(trace_ids), 5)  # of one call, by X-Ray's own limit
        for trace in boto("xray").batch_get_traces(TraceIds=trace_ids[start : start + 5])["Traces"]
    ]
    return {
        trace["Id"]: [json.loads(each["Document"], parse_float=Decimal) for each in trace["Segments"]]
        for trace in found
    }


def totals(documents: list[dict[str, Any]]) -> tuple[int, Decimal]:
    calls = [node for document in documents for node in walk(document) if node.get("namespace")]
    facts = [node.get("metadata", {}).get("tollmeter", {}) | node.get("annotations", {}) for node in calls]
    return (
        sum(fact["input_tokens"] + fact["output_tokens"] for fact in facts),
        sum((Decimal(fact["cost_usd"]) for fact in facts), Decimal(0)),
    )


def test_tokens_and_cost_of_all_documents_are_those_of_the_events(home: Home, aws: str, shared: Path) -> None:
    del aws
    # One trace of each size: small, over the annotations that are indexed, over 64 kB, standing alone, late.
    traces = [traced(1), traced(12), traced(30, raw_usage="x" * 4000)]
    alone = traced(1, request_id="", parent_span_id="")[:1]
    late = traced(2)
    late = [late[0], late[2], late[1]]
    events = [event for trace in (*traces, alone, late) for event in trace]
    spool(home, *events)
    report = forward(home)
    assert (report.of("xray", "acknowledged"), report.of("xray", "dropped")) == (len(events), 0)
    ids = list(dict.fromkeys(xray_id(event) for event in events))
    stored = told(ids)
    assert set(stored) == set(ids)
    calls = [event for event in events if isinstance(event, LlmCall)]
    tokens = sum((call.input_tokens or 0) + (call.output_tokens or 0) for call in calls)
    cost = sum((call.cost_usd or Decimal(0) for call in calls), Decimal(0))
    seen = [totals(documents) for documents in stored.values()]
    assert sum(found[0] for found in seen) == tokens
    assert abs(sum((found[1] for found in seen), Decimal(0)) - cost) < Decimal("1e-9")
    judge = Judge(shared)
    for documents in stored.values():
        judge.check(Document(each["id"], json.dumps(each, default=float), 0) for each in documents)
    kinds = Counter(document.get("type", "segment") for documents in stored.values() for document in documents)
    assert kinds["segment"] == 5
    assert kinds["subsegment"] > 15


def test_sampling_leaves_out_whole_traces_and_keeps_errors(home: Home, aws: str) -> None:
    del aws
    kept, left = traced(1, status="error", error_type="TimeoutError"), traced(2)
    spool(home, *kept, *left)
    report = forward(home, trace_ratio=0.0)
    counted = (report.of("xray", "acknowledged"), report.of("xray", "dropped_sampled"))
    assert counted == (2, 3)
    assert set(told([xray_id(kept[0]), xray_id(left[0])])) == {xray_id(kept[0])}


def test_lines_that_are_no_trace_are_counted(home: Home, aws: str) -> None:
    del aws
    request = traced(0)[0]
    assert isinstance(request, Request)
    spool(home, Request(event_id=new_event_id(), timestamp=NOW, service="chat"), request)
    report = forward(home)
    assert (report.of("xray", "acknowledged"), report.of("xray", "dropped_invalid")) == (1, 1)


class Moody(BaseHTTPRequestHandler):
    """An X-Ray that answers as told: a status, `hang`, `proxy`, or what it did not process of what it was sent."""

    moods: ClassVar[list[Any]] = []
    calls: ClassVar[list[list[dict[str, Any]]]] = []

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))["TraceSegmentDocuments"]
        documents = [json.loads(document) for document in sent]
        self.calls.append(documents)
        mood = self.moods.pop(0) if self.moods else 200
        if mood == "hang":
            time.sleep(1.5)
            return
        if mood == "proxy":
            self.send_response(200)
            self.send_header("content-length", "14")
            self.end_headers()
            self.wfile.write(b"<html>Welcome!")
            return
        status, body = (200, mood(documents)) if callable(mood) else (mood, {"message": "as told"})
        code = {429: "ThrottledException", 400: "InvalidRequestException"}.get(status, "ServiceUnavailable")
        text = json.dumps({"UnprocessedTraceSegments": []} if status == 200 and not callable(mood) else body).encode()
        self.send_response(status)
        self.send_header("x-amzn-errortype", code)
        self.send_header("x-amzn-requestid", "as-told")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Quiet."""


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Moody]]:
    handler = type("Fresh", (Moody,), {"moods": [], "calls": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lead_boto3_to(f"http://127.0.0.1:{server.server_port}", monkeypatch)
    monkeypatch.setattr(aws_module, "_READ_S", 0.5)
    yield handler
    server.shutdown()
    server.server_close()


def unprocessed(code: str, *which: int, named: bool = True) -> Any:
    def answer(documents: list[dict[str, Any]]) -> dict[str, Any]:
        refused = [
            {"ErrorCode": code, "Message": "as told"} | ({"Id": documents[index]["id"]} if named else {})
            for index in which
            if index < len(documents)
        ]
        return {"UnprocessedTraceSegments": refused}

    return answer


@pytest.mark.parametrize(
    "mood",
    [429, 503, 500, "hang", "proxy", unprocessed("ThrottlingException", 0), unprocessed("InternalFailure", 0, 1)],
)
def test_what_did_not_arrive_for_sure_is_put_again_under_the_same_ids(
    home: Home, moody: type[Moody], mood: Any
) -> None:
    spool(home, *traced(2), *traced(1))
    moody.moods[:] = [mood, mood]
    report = forward(home)
    settled = report.of("xray", "acknowledged")
    # The end of the process holds nothing back: what it could not ship is in doubt, which a restart must not send.
    assert report.of("xray", "errors") == 1
    assert settled + report.of("xray", "in_doubt") == 5
    first, *others = moody.calls
    assert all({document["id"] for document in again} <= {each["id"] for each in first} for again in others)


def test_a_running_forwarder_settles_what_was_throttled(home: Home, moody: type[Moody]) -> None:
    spool(home, *traced(2))
    moody.moods[:] = [429, 429, unprocessed("ThrottledException", 0), "hang", "hang"]
    forwarder = Forwarder(home, Settings.load({}, sinks=("xray",), forward_interval_s=0.05))
    stop = threading.Event()
    threading.Timer(9.0, stop.set).start()
    report = forwarder.run(stop)
    report.check()
    assert (report.of("xray", "acknowledged"), report.of("xray", "in_doubt")) == (3, 0)
    assert report.of("xray", "errors") == 3
    assert len({json.dumps(documents, sort_keys=True) for documents in moody.calls}) == 1


def test_a_trace_that_meets_a_fault_each_time_does_not_hold_back_the_others_for_ever(moody: type[Moody]) -> None:
    traces = [traced(1), traced(2)]
    sink = XRaySegments(Settings.load({}))
    whole = [Trace(events[-1], tuple(events[:-1])) for events in traces]  # type: ignore[arg-type]  # a request is last
    bad = xray_id(traces[0][-1])

    def answer(documents: list[dict[str, Any]]) -> dict[str, Any]:
        which = [index for index, document in enumerate(documents) if document["trace_id"] == bad]
        return dict(unprocessed("InternalFailure", *which)(documents))

    moody.moods[:] = [answer] * 8
    first = sink.ship(whole)
    assert (first.acknowledged, first.left, first.drops.total()) == (3, [whole[0]], 0)
    assert "InternalFailure" in first.error
    tries = [sink.ship([whole[0]]) for _ in range(7)]
    assert [len(shipment.left) for shipment in tries] == [1] * 6 + [0]
    assert (tries[-1].drops, tries[-1].error) == (Counter({"InternalFailure": 2}), "")
    moody.moods[:] = [unprocessed("ThrottledException", 0)] * 20
    assert all(sink.ship([whole[0]]).left for _ in range(20))  # what is throttled is not given up
    sink.close()


@pytest.mark.parametrize("named", [True, False])
def test_a_document_that_is_refused_is_counted_by_its_code_and_the_others_arrive(
    home: Home, moody: type[Moody], *, named: bool
) -> None:
    traces = [traced(1) for _ in range(4)]
    spool(home, *(event for trace in traces for event in trace))
    bad = traces[2][1]

    def answer(documents: list[dict[str, Any]]) -> dict[str, Any]:
        which = [index for index, document in enumerate(documents) if document["trace_id"] == xray_id(bad)]
        return dict(unprocessed("InvalidTraceId", *which, named=named)(documents))

    moody.moods[:] = [answer] * 20
    report = forward(home)
    assert (report.of("xray", "acknowledged"), report.of("xray", "dropped_InvalidTraceId")) == (6, 2)
    assert report.of("xray", "errors") == 0


def test_one_document_that_spoils_a_call_is_found(home: Home, moody: type[Moody]) -> None:
    spool(home, *traced(1), *traced(1))
    moody.moods[:] = [400, 400, 200]
    report = forward(home)
    assert (report.of("xray", "acknowledged"), report.of("xray", "dropped_InvalidRequestException")) == (2, 2)
    assert [len(documents) for documents in moody.calls] == [2, 1, 1]


def test_a_subsegment_that_is_refused_takes_its_own_calls_with_it(home: Home, moody: type[Moody]) -> None:
    events = traced(30, raw_usage="x" * 4000)
    spool(home, *events)
    moody.moods[:] = [unprocessed("InvalidSegment", 1)]
    report = forward(home)
    dropped = report.of("xray", "dropped_InvalidSegment")
    inside = sum(1 for node in walk(moody.calls[0][1]) if node.get("namespace"))
    assert dropped == inside > 0
    assert report.of("xray", "acknowledged") == 31 - inside


def test_a_call_carries_fifty_documents_and_a_mebibyte(home: Home, moody: type[Moody]) -> None:
    spool(home, *(event for _ in range(120) for event in traced(0)))
    assert forward(home).of("xray", "acknowledged") == 120
    assert [len(documents) for documents in moody.calls] == [50, 50, 20]
    moody.calls.clear()
    spool(home, *(event for _ in range(25) for event in traced(12, raw_usage="x" * 4090)))
    assert forward(home).of("xray", "acknowledged") == 25 * 13
    sizes = [sum(len(json.dumps(each, separators=(",", ":"))) for each in documents) for documents in moody.calls]
    assert max(sizes) <= 1 << 20
    assert len(sizes) == 2


@pytest.mark.parametrize(("url", "origin"), [("http://169.254.170.2/v4/x", "AWS::ECS::Container"), ("", None)])
def test_the_origin_is_told_where_it_is_known(
    home: Home, moody: type[Moody], monkeypatch: pytest.MonkeyPatch, url: str, origin: str | None
) -> None:
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", url)
    spool(home, *traced(0))
    forward(home)
    assert moody.calls[0][0].get("origin") == origin
