"""Requests and calls become traces, judged when all is known, with every line accounted for."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tollmeter.exporters.derive import traces as traces_module
from tollmeter.exporters.derive.traces import Assembler, Sampling, Trace
from tollmeter.exporters.sinks import traced
from tollmeter.exporters.sinks.memory import MemoryTraces
from tollmeter.model.events import Evaluation, LlmCall, Request, encode
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings

LOW, HIGH = f"{1:032x}", "f" * 32
NONE_BUT_REMARKABLE = Settings.load({}, trace_ratio=0.0, trace_slow_ms=1000.0, trace_expensive_usd=Decimal(1))


def request(request_id: str = "r1", **facts: Any) -> Request:
    given = {"trace_id": HIGH, "instance": "i1", "service": "chat", **facts}
    return Request(event_id=new_event_id(), timestamp=datetime.now(UTC), request_id=request_id, **given)


def call(request_id: str = "r1", **facts: Any) -> LlmCall:
    given = {"trace_id": HIGH, "instance": "i1", "service": "chat", **facts}
    return LlmCall(event_id=new_event_id(), timestamp=datetime.now(UTC), request_id=request_id, **given)


def assembled(*events: Request | LlmCall, sampling: Sampling | None = None) -> list[Trace]:
    assembler = Assembler(sampling or Sampling(), wait_s=60)
    return [trace for event in events for trace in assembler.add(event, 0.0)]


def test_a_request_comes_with_the_calls_it_waited_for() -> None:
    calls = (call(), call())
    other, whole = call("r2"), request()
    assert assembled(*calls, other, whole) == [Trace(whole, calls)]


def test_the_same_request_id_in_two_processes_is_two_traces() -> None:
    mine, theirs = call(instance="i1"), call(instance="i2")
    first, second = request(instance="i2"), request(instance="i1")
    assert assembled(mine, theirs, first, second) == [Trace(first, (theirs,)), Trace(second, (mine,))]


def test_a_call_outside_of_any_request_is_a_trace_at_once() -> None:
    alone = call("")
    assert assembled(alone) == [Trace(None, (alone,))]


@pytest.mark.parametrize(
    ("facts", "of_call"),
    [
        ({"error_type": "ValueError"}, {}),
        ({"status_code": 503}, {}),
        ({"duration_ms": 1000.0}, {}),
        ({}, {"status": "error"}),
        ({}, {"latency_ms": 1200.0}),
        ({}, {"cost_usd": Decimal("0.6")}),
    ],
)
def test_errors_slow_and_expensive_traces_are_kept_whole(facts: dict[str, Any], of_call: dict[str, Any]) -> None:
    rules = Sampling.of(NONE_BUT_REMARKABLE)
    plain = [call(cost_usd=Decimal("0.4")), call(**of_call)]
    assert [trace.lines for trace in assembled(*plain, request(**facts), sampling=rules)] == [3]
    assert assembled(call(cost_usd=Decimal("0.4")), request(status_code=404), sampling=rules) == []


def test_the_ratio_takes_what_opentelemetry_takes() -> None:
    from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

    theirs, ours = TraceIdRatioBased(0.3), Sampling(ratio=0.3)
    ids = [hash((number, "trace")) & (2**128 - 1) for number in range(1, 2000)]
    ids += [int(0.3 * 2**64) + step for step in (-1, 0, 1)]
    for trace_id in ids:
        drawn = theirs.should_sample(None, trace_id, "x").decision is Decision.RECORD_AND_SAMPLE
        assert ours.keeps(Trace(request(trace_id=f"{trace_id:032x}"))) is drawn, trace_id


def test_a_call_that_outlives_its_request_follows_its_verdict() -> None:
    assembler = Assembler(Sampling(ratio=0.5), wait_s=60)
    list(assembler.add(request("kept", trace_id=LOW), 0.0))
    list(assembler.add(request("dropped", trace_id=HIGH), 0.0))
    late = call("kept", trace_id=LOW)
    assert list(assembler.add(late, 1.0)) == [Trace(None, (late,))]
    assert list(assembler.add(call("dropped", status="error"), 1.0)) == []
    assert assembler.sampled == 2


def test_calls_whose_request_never_comes_are_judged_in_time() -> None:
    assembler = Assembler(Sampling(), wait_s=60)
    orphan = call()
    list(assembler.add(orphan, 10.0))
    assert list(assembler.due(69.0, final=False)) == []
    assert list(assembler.due(70.0, final=False)) == [Trace(None, (orphan,))]
    last = call("r9")
    list(assembler.add(last, 71.0))
    assert list(assembler.due(72.0, final=True)) == [Trace(None, (last,))]
    assert assembler.waiting == 0


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces_module, "MAX_WAITING", 10)
    monkeypatch.setattr(traces_module, "_MAX_JUDGED", 5)
    assembler = Assembler(Sampling(), wait_s=60)
    out = [trace for number in range(100) for trace in assembler.add(call(f"r{number}"), 0.0)]
    assert (len(out), assembler.waiting) == (90, 10)
    assert len(assembler._judged) <= 5


def lines(*events: Any) -> list[bytes]:
    return [encode(event) for event in events]


def evaluation() -> Evaluation:
    return Evaluation(
        event_id=new_event_id(), timestamp=datetime.now(UTC), service="x", call_id=new_event_id(), name="n", score=1
    )


def test_every_line_is_accounted_for() -> None:
    sink = MemoryTraces(Settings.load({}, trace_ratio=0.5))
    first = sink.send([*lines(call(trace_id=LOW), call("r2"), evaluation()), b"{no"])
    assert (first.acknowledged, first.drops, first.held, first.lines) == (1, {"invalid": 1}, 2, 4)
    second = sink.send(lines(request(trace_id=LOW), request("r2")))
    assert (second.acknowledged, second.drops, second.held, second.lines) == (2, {"sampled": 2}, -2, 2)
    assert [trace.lines for trace in sink.traces] == [2]


def test_a_sink_that_is_down_keeps_what_it_took_and_takes_no_more_than_its_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(traced, "MAX_KEPT", 3)
    sink = MemoryTraces(Settings.load({}))
    sink.failure = ConnectionError("refused")
    receipt = sink.send(lines(*(request(f"r{number}") for number in range(3))))
    assert (receipt.acknowledged, receipt.held, receipt.error) == (0, 3, "ConnectionError: refused")
    with pytest.raises(BufferError, match="3 traces wait"):
        sink.send(lines(request("r4")))
    assert sink.flush(final=False).error == "ConnectionError: refused"
    sink.failure = None
    settled = sink.flush(final=True)
    assert (settled.acknowledged, settled.held, settled.lines, settled.error) == (3, -3, 0, "")
    assert len(sink.traces) == 3


def test_flushing_judges_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = MemoryTraces(Settings.load({}, trace_wait_s=5.0))
    assert sink.send(lines(call())).held == 1
    assert sink.flush(final=False).held == 0
    moment = time.monotonic() + 6
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    assert (sink.flush(final=False).acknowledged, len(sink.traces)) == (1, 1)
