"""Traces over OTLP to a receiver on loopback: what arrives is what the events say, whatever mood it is in."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from otlp_receiver import PROTOBUF, Post, Receiver, Reply, otlp_receiver, partial
from recorded_events import served

from tollmeter.exporters import span_wire
from tollmeter.exporters.derive.traces import Trace
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.sinks import SINKS
from tollmeter.exporters.sinks.base import REJECTED, Probing
from tollmeter.exporters.sinks.datadog_traces import DatadogTraces
from tollmeter.exporters.sinks.otlp import OtlpTraces
from tollmeter.exporters.sinks.xray_otlp import XRaySpans
from tollmeter.model.errors import SettingError, TransientError
from tollmeter.model.events import Event, LlmCall, Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id, new_span_id, new_trace_id
from tollmeter.model.settings import Settings
from tollmeter.model.spool import close_segment, create_segment, service_folder

NOW = datetime.now(UTC)
SERVER, CLIENT = 2, 3


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in [name for name in os.environ if name.startswith(("OTEL_", "DD_", "AWS_"))]:
        monkeypatch.delenv(name)
    with otlp_receiver() as opened:
        yield opened


def settings(receiver: Receiver, *sinks: str, **more: Any) -> Settings:
    known = {"otlp_endpoint": receiver.url, "datadog_otlp_endpoint": receiver.url, "forward_interval_s": 0.05}
    return Settings.load({}, sinks=sinks or ("otlp",), **known | more)


def spool(home: Home, events: list[Event]) -> None:
    segment = create_segment(service_folder(home.spool, "chat"))
    for event in events:
        os.write(segment.fd, encode(event))
    close_segment(segment)


def lines(events: list[Event]) -> list[bytes]:
    return [encode(event).rstrip(b"\n") for event in events]


def counts(home: Home, report: Any, sink: str) -> dict[str, int]:
    del home
    report.check()
    return {name.partition(".")[2]: count for name, count in report.counts.items() if name.startswith(f"{sink}.")}


def test_what_arrives_is_what_the_events_say(home: Home, receiver: Receiver) -> None:
    events = served(40, now=NOW)
    spool(home, events)
    report = Forwarder(home, settings(receiver, otlp_headers={"X-Key": "k1"})).run_once()
    assert counts(home, report, "otlp") == {"produced": len(events), "acknowledged": len(events)}
    [post] = receiver.posts
    assert post.path == "/v1/traces"
    assert post.headers["x-key"] == "k1"
    assert post.headers["content-encoding"] == "gzip"
    assert post.headers["content-type"] == PROTOBUF
    calls = [event for event in events if isinstance(event, LlmCall)]
    requests = [event for event in events if isinstance(event, Request)]
    by_id = {(span.trace_id, span.span_id): span for span in receiver.spans}
    assert len(by_id) == len(receiver.spans) == len(events) + sum(len(request.steps) for request in requests)
    for event in (*calls, *requests):
        span = by_id[event.trace_id, event.span_id]
        assert span.parent_id == event.parent_span_id
        assert span.kind == (CLIENT if isinstance(event, LlmCall) else SERVER)
        assert span.start_ns == round(event.timestamp.timestamp() * 10**6) * 1000
        assert span.resource["service.name"] == "chat"
    clients = [span for span in receiver.spans if span.kind == CLIENT]
    for name, field in [("input", "input_tokens"), ("output", "output_tokens")]:
        total = sum(getattr(call, field) or 0 for call in calls)
        assert sum(span.attributes.get(f"gen_ai.usage.{name}_tokens", 0) for span in clients) == total
    cost = sum((call.cost_usd or Decimal(0) for call in calls), Decimal(0))
    assert sum(Decimal(span.attributes["tollmeter.cost_usd_exact"]) for span in clients) == cost
    assert sum(span.attributes["tollmeter.cost_usd"] for span in clients) == pytest.approx(float(cost), abs=1e-9)
    assert not any(
        name.startswith("gen_ai.usage") for span in receiver.spans if span.kind == SERVER for name in span.attributes
    )


def test_the_endpoint_may_be_what_opentelemetry_is_told(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
    sink = OtlpTraces(settings(receiver, otlp_endpoint=""))
    assert sink.send(lines([served(1, now=NOW)[0]])).acknowledged == 1
    assert receiver.posts[0].headers["x-key"] == "secret"


def test_no_key_of_one_receiver_goes_to_another(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
    DatadogTraces(settings(receiver)).send(lines([served(1, now=NOW)[0]]))
    assert "x-key" not in receiver.posts[0].headers
    assert receiver.posts[0].headers["content-encoding"] == "gzip"


def test_a_key_is_not_shown() -> None:
    with pytest.raises(SettingError) as caught:
        Settings.load({"TOLLMETER_OTLP_HEADERS": "api-key k-1234"})
    assert "k-1234" not in str(caught.value)
    with pytest.raises(SettingError) as caught:
        Settings.load({}, otlp_headers=["k-1234"])
    assert "k-1234" not in str(caught.value)
    assert "k-1234" not in repr(Settings.load({}, otlp_headers={"api-key": "k-1234"}))


def test_a_header_that_cannot_be_sent_is_not_shown(receiver: Receiver) -> None:
    sink = OtlpTraces(settings(receiver, otlp_headers={"api-key": "sec\nret"}))
    receipt = sink.send(lines([served(1, now=NOW)[0]]))
    assert (receipt.held, receipt.acknowledged) == (1, 0)
    assert receipt.error == "InvalidHeader"


def call(**facts: Any) -> LlmCall:
    known: dict[str, Any] = {"timestamp": NOW, "service": "chat", "operation": "chat", "request_model": "gpt-4o"}
    known |= {"trace_id": new_trace_id(), "span_id": new_span_id()}
    return LlmCall(event_id=new_event_id(), **known | facts)


def traces(*calls: LlmCall) -> list[Trace]:
    return [Trace(None, (each,)) for each in calls]


def test_spans_that_the_receiver_rejects_are_counted(receiver: Receiver) -> None:
    receiver.replies = [partial(2, "too old")]
    done = OtlpTraces(settings(receiver)).ship(traces(call(), call(), call()))
    assert (done.acknowledged, dict(done.drops), done.left, done.error) == (1, {REJECTED: 2}, [], "")


def test_more_rejected_than_sent_is_not_believed(receiver: Receiver) -> None:
    receiver.replies = [partial(10**12)]
    done = OtlpTraces(settings(receiver)).ship(traces(call()))
    assert (done.acknowledged, dict(done.drops)) == (0, {REJECTED: 1})


def test_one_bad_event_does_not_take_others_with_it(receiver: Receiver) -> None:
    receiver.refuses = "poison"
    shipped = [call() for _ in range(9)] + [call(request_model="poison")]
    done = OtlpTraces(settings(receiver)).ship(traces(*shipped))
    assert (done.acknowledged, dict(done.drops), done.left) == (9, {REJECTED: 1}, [])
    assert {span.span_id for span in receiver.spans} == {each.span_id for each in shipped[:9]}
    assert len(receiver.posts) < 10


def test_a_receiver_that_refuses_everything_is_not_asked_for_ever(receiver: Receiver) -> None:
    receiver.otherwise = Reply(400, takes=False)
    done = OtlpTraces(settings(receiver)).ship(traces(*(call() for _ in range(300))))
    assert (done.acknowledged, dict(done.drops), done.left) == (0, {REJECTED: 300}, [])
    assert len(receiver.posts) == 65  # 32 looks for the bad one, two posts each


@pytest.mark.parametrize("status", [401, 403, 404, 500, 301])
def test_what_may_be_mended_is_tried_again(receiver: Receiver, status: int) -> None:
    receiver.replies = [Reply(status, {"Location": "/elsewhere"})]
    sink = OtlpTraces(settings(receiver))
    shipped = traces(call(), call())
    done = sink.ship(shipped)
    assert (done.acknowledged, done.left, done.error) == (0, shipped, f"HTTP {status}")
    assert sink.ship(done.left).acknowledged == 2
    assert len(receiver.spans) == 2


def test_a_receiver_that_asks_for_a_pause_gets_it(receiver: Receiver) -> None:
    receiver.replies = [Reply(429, {"Retry-After": "100"})]
    sink = OtlpTraces(settings(receiver))
    done = sink.ship(traces(call()))
    assert done.error == "HTTP 429"
    with pytest.raises(TransientError, match=r"a pause; (99|100) s"):
        sink.ship(done.left)
    assert len(receiver.posts) == 1


def test_what_may_help_is_tried_at_once(receiver: Receiver) -> None:
    receiver.replies = [Reply(503, {"Retry-After": "0"}), Reply(429, {"Retry-After": "0"})]
    done = OtlpTraces(settings(receiver)).ship(traces(call()))
    assert (done.acknowledged, done.error, len(receiver.posts)) == (1, "", 3)


def test_a_page_for_an_answer_leaves_the_traces_in_doubt(receiver: Receiver) -> None:
    receiver.replies = [Reply(200, {"Content-Type": "text/html"}, b"<html>please log in</html>", takes=False)]
    done = OtlpTraces(settings(receiver)).ship(traces(call(), call()))
    assert (done.acknowledged, done.in_doubt, done.left) == (0, 2, [])
    assert done.error.startswith("in doubt: a body of text/html")


def test_a_receiver_that_hangs_costs_a_bounded_time_and_gets_the_same_spans_again(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_wire, "TIMEOUT_S", 0.3)
    receiver.otherwise = Reply(hang_s=1.0)
    sink = OtlpTraces(settings(receiver))
    began = time.monotonic()
    shipped = traces(call())
    done = sink.ship(shipped)
    assert time.monotonic() - began < 0.9
    assert (done.acknowledged, done.left) == (0, shipped)
    assert "Timeout" in done.error
    receiver.otherwise = Reply()
    assert sink.ship(done.left).acknowledged == 1
    assert len({(span.trace_id, span.span_id) for span in receiver.spans}) == 1


def test_nobody_there_loses_nothing(receiver: Receiver) -> None:
    sink = OtlpTraces(settings(receiver, otlp_endpoint="http://127.0.0.1:9"))
    shipped = traces(call())
    done = sink.ship(shipped)
    assert (done.left, done.acknowledged) == (shipped, 0)
    assert "ConnectionError" in done.error


def test_what_follows_a_failure_stays_in_order(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollmeter.exporters.sinks.otlp.MAX_SPANS", 2)
    receiver.replies = [Reply(), Reply(500)]
    shipped = [call() for _ in range(6)]
    sink = OtlpTraces(settings(receiver))
    done = sink.ship([Trace(None, tuple(shipped))])
    assert done.acknowledged == 2
    assert [trace.calls[0] for trace in done.left] == shipped[2:]
    assert sink.ship(done.left).acknowledged == 4


def test_a_failing_receiver_is_told_of_once(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.replies = [Reply(500)]
    with caplog.at_level(logging.WARNING):
        OtlpTraces(settings(receiver)).ship(traces(call()))
    assert caplog.records == []


@pytest.mark.parametrize("mood", ["refuse", "hang", "429", "500", "garbage", "400"])
def test_every_line_is_accounted_for_in_any_mood(
    home: Home, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, mood: str
) -> None:
    monkeypatch.setattr(span_wire, "TIMEOUT_S", 0.2)
    moods = {
        "refuse": Reply(),
        "hang": Reply(hang_s=0.5, takes=False),
        "429": Reply(429, {"Retry-After": "1"}),
        "500": Reply(500),
        "garbage": Reply(200, {"Content-Type": PROTOBUF}, b"\xff\xff", takes=False),
        "400": Reply(400),
    }
    receiver.otherwise = moods[mood]
    more = {"otlp_endpoint": "http://127.0.0.1:9"} if mood == "refuse" else {}
    events = served(15, now=NOW)
    spool(home, events)
    bad = counts(home, Forwarder(home, settings(receiver, **more)).run_once(), "otlp")
    assert bad["produced"] == len(events)
    lost = {"garbage": "in_doubt", "400": "dropped_rejected"}.get(mood, "in_doubt")
    assert bad[lost] == len(events)  # what was still held when the forwarder ended is in doubt
    receiver.otherwise = Reply()
    spool(home, more_events := served(5, now=NOW))
    good = counts(home, Forwarder(home, settings(receiver)).run_once(), "otlp")
    assert good["acknowledged"] == len(more_events)
    assert {span.span_id for span in receiver.spans} >= {e.span_id for e in more_events if isinstance(e, Request)}


def test_lines_that_are_no_spans_are_invalid(receiver: Receiver) -> None:
    sink = OtlpTraces(settings(receiver))
    hostile = [
        call(trace_id="zz" * 16),
        call(span_id=""),
        call(cost_usd=Decimal("sNaN")),
        call(cost_usd=Decimal("NaN")),
    ]
    receipt = sink.send([*lines([*hostile, call()]), b"{", b"\xff"])
    assert (receipt.acknowledged, dict(receipt.drops), receipt.error) == (1, {"invalid": 6}, "")


def test_x_ray_gets_no_spans_it_would_not_take(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    lead(receiver, monkeypatch)
    old, ahead = NOW - timedelta(days=15), NOW + timedelta(hours=3)
    done = XRaySpans(settings(receiver)).ship(traces(call(timestamp=old), call(), call(timestamp=ahead)))
    assert (done.acknowledged, dict(done.drops)) == (1, {"late": 1, "early": 1})


def lead(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, token: str = "") -> None:
    for name, value in {
        "AWS_ENDPOINT_URL_XRAY": receiver.url,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "AWS_SESSION_TOKEN": token,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("token", ["", "TOKEN/with+signs=="])
def test_the_signature_is_that_of_what_arrived(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    lead(receiver, monkeypatch, token)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
    receiver.replies = [Reply(503, {"Retry-After": "0"})]
    assert XRaySpans(settings(receiver)).ship(traces(call())).acknowledged == 1
    assert len(receiver.posts) == 2
    for post in receiver.posts:
        assert post.headers["authorization"].rpartition("Signature=")[2] == signature(post)
        assert post.headers.get("x-amz-security-token", "") == token
        assert "x-key" not in post.headers
    [span] = receiver.spans
    assert span.attributes["aws.xray.annotations"] == ["gen_ai.request.model", "tollmeter.status"]


def signature(post: Post) -> str:
    """Signature Version 4 of a request as it came (https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html)."""
    about = dict(part.split("=", 1) for part in post.headers["authorization"].split(" ", 1)[1].split(", "))
    _, day, region, service, end = about["Credential"].split("/")
    assert (region, service, end) == ("eu-central-1", "xray", "aws4_request")
    signed = about["SignedHeaders"].split(";")
    assert set(signed) - {"x-amz-security-token"} == {"content-type", "host", "x-amz-date"}
    headers = "".join(f"{name}:{post.headers[name]}\n" for name in signed)
    body = hashlib.sha256(post.body).hexdigest()
    canonical = "\n".join(["POST", post.path, "", headers, about["SignedHeaders"], body])
    moment = post.headers["x-amz-date"]
    scope = f"{day}/{region}/{service}/{end}"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    for part in (day, region, service, end):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, to_sign.encode(), "sha256").hexdigest()


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-central-1", "https://xray.eu-central-1.amazonaws.com/v1/traces"),
        ("cn-north-1", "https://xray.cn-north-1.amazonaws.com.cn/v1/traces"),
        ("us-gov-west-1", "https://xray.us-gov-west-1.amazonaws.com/v1/traces"),
    ],
)
def test_each_region_has_its_endpoint(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, region: str, url: str
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    opened: list[str | None] = []

    class Spy(span_wire.SpanPost):
        def __init__(self, endpoint: str | None, *args: Any, **more: Any) -> None:
            opened.append(endpoint)
            super().__init__(endpoint, *args, **more)

    monkeypatch.setattr(span_wire, "SpanPost", Spy)
    XRaySpans(settings(receiver, region=region))
    assert opened == [url]


def test_without_credentials_nothing_is_sent_and_nothing_lost(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    lead(receiver, monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(home.path / "none"))
    shipped = traces(call())
    done = XRaySpans(settings(receiver)).ship(shipped)
    assert (done.left, receiver.posts) == (shipped, [])
    assert "credentials" in done.error


def test_an_old_span_moves_no_metric_of_the_agent(receiver: Receiver) -> None:
    now = datetime.now(UTC)  # not when the module was imported: that may be a minute ago
    old = call(timestamp=now - timedelta(minutes=10))
    long = call(timestamp=now - timedelta(minutes=10), latency_ms=599_000.0)
    fresh = call(timestamp=now)
    DatadogTraces(settings(receiver)).ship(traces(old, long, fresh))
    marked = {span.span_id: span.resource.get("_dd.stats_computed") for span in receiver.spans}
    assert marked == {old.span_id: "true", long.span_id: None, fresh.span_id: None}


def test_the_agent_is_where_it_is_said_to_be(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str | None] = []

    class Spy(span_wire.SpanPost):
        def __init__(self, endpoint: str | None, *args: Any, **more: Any) -> None:
            opened.append(endpoint)
            super().__init__(endpoint, *args, **more)

    monkeypatch.setattr(span_wire, "SpanPost", Spy)
    DatadogTraces(settings(receiver, datadog_otlp_endpoint=""))
    monkeypatch.setenv("DD_AGENT_HOST", "10.1.2.3")
    DatadogTraces(settings(receiver, datadog_otlp_endpoint=""))
    DatadogTraces(settings(receiver, datadog_otlp_endpoint="http://agent:9999"))
    hosts = ["http://localhost:4318", "http://10.1.2.3:4318", "http://agent:9999"]
    assert opened == [f"{host}/v1/traces" for host in hosts]


def test_the_sinks_are_opened_by_name(home: Home, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    lead(receiver, monkeypatch)
    chosen = settings(receiver, xray_route="otlp")
    opened = [SINKS[name](home, chosen) for name in ("otlp", "datadog_traces", "xray")]
    assert [type(sink) for sink in opened] == [OtlpTraces, DatadogTraces, XRaySpans]
    assert [sink.name for sink in opened] == ["otlp", "datadog_traces", "xray"]
    for sink in opened:
        sink.close()


def test_a_receiver_is_looked_at_without_a_trace(receiver: Receiver) -> None:
    sink = OtlpTraces(settings(receiver))
    assert isinstance(sink, Probing)
    assert sink.probe() == f"posts traces to {receiver.url}/v1/traces, which took an empty post"
    assert receiver.spans == []
    receiver.replies = [Reply(401)]
    with pytest.raises(ConnectionError, match="HTTP 401"):
        sink.probe()
