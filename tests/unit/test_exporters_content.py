"""Prompts and answers are for the lake: nothing that the forwarder derives from an event holds them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
from statsd_socket import udp_socket

from tollmeter.exporters.derive.cloudwatch import data, embedded
from tollmeter.exporters.derive.dimensions import DimensionBudget
from tollmeter.exporters.derive.metrics import Aggregator
from tollmeter.exporters.derive.segments import documents
from tollmeter.exporters.derive.spans import spans
from tollmeter.exporters.derive.traces import Trace
from tollmeter.exporters.sinks.datadog_metrics import DatadogMetrics
from tollmeter.exporters.sinks.stdout import log_record
from tollmeter.model.events import LlmCall, Request, encode, utc_now
from tollmeter.model.ids import new_event_id, new_span_id, new_trace_id
from tollmeter.model.names import CONTENT_FIELDS
from tollmeter.model.settings import Settings

PROMPT = "what nobody but the lake should read"
TRACE, SPAN = new_trace_id(), new_span_id()
REQUEST = Request(
    event_id=new_event_id(), timestamp=utc_now(), service="svc", request_id="r", trace_id=TRACE, span_id=SPAN
)
CALL = LlmCall(
    event_id=new_event_id(), timestamp=utc_now(), service="svc", request_id="r", trace_id=TRACE, span_id=new_span_id(),
    parent_span_id=SPAN, provider="openai", cost_usd=Decimal(1), input_content=PROMPT, output_content=PROMPT,
)  # fmt: skip


def test_no_log_holds_content() -> None:
    assert PROMPT in encode(CALL).decode()
    assert PROMPT not in str(log_record(encode(CALL)))


def test_no_segment_holds_content() -> None:
    for trace in (Trace(REQUEST, (CALL,)), Trace(None, (CALL,))):
        found = [document.text for document in documents(trace)]
        assert "openai" in "".join(found)
        assert not [text for text in found if PROMPT in text or any(name in text for name in CONTENT_FIELDS)]


def test_no_metric_holds_content() -> None:
    aggregator = Aggregator(lambda _, value: value)
    points = aggregator.points([REQUEST, CALL])
    assert points.sums
    assert PROMPT not in str(list(data(points, aggregator.sent)))
    assert PROMPT not in str(msgspec.to_builtins(list(embedded(points, aggregator.sent, "Tollmeter"))))


def test_no_span_holds_content() -> None:
    made = [*spans(REQUEST), *spans(CALL)]
    assert "openai" in str(made)
    assert PROMPT not in str(made)
    assert not [name for span in made for name in span.attributes if name.rpartition(".")[2] in CONTENT_FIELDS]


def test_no_datagram_holds_content(tmp_path: Path) -> None:
    with udp_socket() as agent:
        chosen = Settings.load({}, statsd_address=agent.address)
        sink = DatadogMetrics(chosen, DimensionBudget.of(chosen, tmp_path / "dimensions.json"))
        assert sink.send([encode(REQUEST), encode(CALL)]).acknowledged == 2
        sink.close()
        samples = agent.samples()
    assert "openai" in str(samples)
    assert PROMPT not in str(samples)
