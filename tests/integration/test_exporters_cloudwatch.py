"""Logs and metrics to CloudWatch: moto on loopback for what it can, a server of failures for what it cannot."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import msgspec
import pytest
from aws_server import aws_on_loopback, boto, lead_boto3_to

from tollmeter.cli.checks import metric_series
from tollmeter.exporters import aws as aws_module
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.insights import install
from tollmeter.model.errors import UnknownNameError
from tollmeter.model.events import Event, LlmCall, Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.insights import queries, query
from tollmeter.model.settings import Settings
from tollmeter.model.spool import close_segment, create_segment, service_folder

NOW = datetime.now(UTC)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with aws_on_loopback() as url:
        lead_boto3_to(url, monkeypatch)
        yield url


def settings(*sinks: str, **more: Any) -> Settings:
    return Settings.load({}, sinks=sinks, forward_interval_s=0.05, metric_interval_s=0.1, **more)


def spool(home: Home, *events: Event) -> None:
    segment = create_segment(service_folder(home.spool, "chat"))
    for event in events:
        os.write(segment.fd, encode(event))
    close_segment(segment)


def call(**facts: Any) -> LlmCall:
    known = {"provider": "openai", "request_model": "gpt-4o", "timestamp": NOW, "service": "chat", **facts}
    return LlmCall(event_id=new_event_id(), **known)


def messages(group: str) -> list[dict[str, Any]]:
    found = boto("logs").filter_log_events(logGroupName=group)["events"]
    return [json.loads(event["message"]) for event in found]


def test_every_event_is_a_structured_log_in_the_group_of_its_service(home: Home, aws: str) -> None:
    del aws
    request = Request(event_id=new_event_id(), timestamp=NOW, service="chat", request_id="r1", duration_ms=12.5)
    spool(home, call(trace_id="4" * 32), request)
    report = Forwarder(home, settings("cloudwatch_logs")).run_once()
    report.check()
    found = messages("/tollmeter/chat")
    assert [event["message"] for event in found] == ["Model call completed", "Request completed"]
    assert (found[1]["request_id"], found[1]["duration_ms"], found[1]["level"]) == ("r1", 12.5, "INFO")
    assert found[0]["trace_id"] == "4" * 32
    [own] = messages("/tollmeter/tollmeter")
    assert own["counts"] == {"produced": 2, "acknowledged": 2}
    [group] = boto("logs").describe_log_groups(logGroupNamePrefix="/tollmeter/chat")["logGroups"]
    assert group["retentionInDays"] == 30


def test_metrics_arrive_with_their_sums_and_values(home: Home, aws: str) -> None:
    del aws
    calls = [
        call(latency_ms=100.0 * n, input_tokens=n, cost_usd=Decimal("0.01"), environment="prod") for n in (1, 2, 3)
    ]
    spool(home, *calls)
    Forwarder(home, settings("cloudwatch_metrics", metric_preset="ai_platform")).run_once().check()
    dims = [
        {"Name": name, "Value": value}
        for name, value in (
            ("service", "chat"), ("environment", "prod"), ("provider", "openai"), ("request_model", "gpt-4o"),
        )
    ]  # fmt: skip
    assert _sum("Tollmeter", "llm.calls", dims) == 3
    assert _sum("Tollmeter", "llm.input_tokens", dims) == 6
    assert _sum("Tollmeter", "llm.latency_ms", dims) == 600
    team = [*dims, {"Name": "team", "Value": "none"}]
    assert _sum("Tollmeter", "llm.cost_usd", team) == pytest.approx(0.03, abs=1e-9)
    outside = [{"Name": "Model", "Value": "gpt-4o"}, {"Name": "Environment", "Value": "prod"}]
    assert _sum("AIplatform", "TokensUsed", outside) == 6


def _sum(namespace: str, name: str, dimensions: list[dict[str, str]]) -> float:
    answer = boto("cloudwatch").get_metric_statistics(
        Namespace=namespace, MetricName=name, Dimensions=dimensions, Period=60, Statistics=["Sum"],
        StartTime=NOW - timedelta(minutes=10), EndTime=NOW + timedelta(minutes=10),
    )  # fmt: skip
    return float(sum(point["Sum"] for point in answer["Datapoints"]))


def test_embedded_metrics_are_log_events_of_their_minute(home: Home, aws: str) -> None:
    del aws
    spool(home, call(latency_ms=5.0), call(latency_ms=7.0, timestamp=NOW - timedelta(minutes=9)))
    Forwarder(home, settings("cloudwatch_emf")).run_once().check()
    documents = [found for found in messages("/tollmeter/metrics") if "llm.latency_ms" in found]
    assert sorted(found["llm.latency_ms"] for found in documents) == [[5.0], [7.0]]
    minutes = {found["_aws"]["Timestamp"] // 60_000 for found in documents}
    assert minutes == {int(NOW.timestamp()) // 60, int((NOW - timedelta(minutes=9)).timestamp()) // 60}


class Moody(BaseHTTPRequestHandler):
    """A CloudWatch that answers as it is told: a status, `hang`, or `strange`: a good status from who is not AWS."""

    moods: ClassVar[list[str]] = []
    answer: ClassVar[bytes] = b"{}"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        mood = self.moods.pop(0) if self.moods else "200"
        if mood == "hang":
            time.sleep(1.5)
            return
        body = self.answer if mood == "200" else b'{"__type":"Error","message":"as told"}'
        self.send_response(200 if mood == "strange" else int(mood))
        if mood != "strange":
            self.send_header("content-type", "application/x-amz-json-1.0")
            self.send_header("x-amzn-requestid", "r-1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Quiet."""


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Moody]]:
    handler = type("Fresh", (Moody,), {"moods": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lead_boto3_to(f"http://127.0.0.1:{server.server_port}", monkeypatch)
    monkeypatch.setattr(aws_module, "_READ_S", 0.5)
    yield handler
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("sink", ["cloudwatch_metrics", "cloudwatch_emf"])
@pytest.mark.parametrize("mood", ["200", "hang", "strange", "500", "503", "429", "400"])
def test_metrics_whose_fate_is_unknown_are_never_sent_twice(
    home: Home, moody: type[Moody], sink: str, mood: str
) -> None:
    known = {"200": {"acknowledged": 3}}.get(mood, {"in_doubt": 3} if mood in ("hang", "strange", "500") else {})
    spool(home, call(), call(), call())
    moody.moods[:] = [mood]
    report = Forwarder(home, settings(sink)).run_once()
    report.check()
    told = {name: report.of(sink, name) for name in ("acknowledged", "in_doubt") if report.of(sink, name)}
    assert told == known
    assert report.of(sink, "errors") == (mood != "200")
    again = Forwarder(home, settings(sink)).run_once()
    again.check()
    assert again.of(sink, "acknowledged") == (0 if known else 3)


def test_logs_that_were_throttled_are_put_again(home: Home, moody: type[Moody]) -> None:
    spool(home, call())
    moody.moods[:] = ["429", "429"]
    assert Forwarder(home, settings("cloudwatch_logs")).run_once().of("cloudwatch_logs", "errors") == 1
    assert Forwarder(home, settings("cloudwatch_logs")).run_once().of("cloudwatch_logs", "acknowledged") == 1


@pytest.mark.parametrize(
    ("info", "dropped"),
    [
        ({"tooOldLogEventEndIndex": 1}, {"late": 1}),
        ({"expiredLogEventEndIndex": 2, "tooOldLogEventEndIndex": 1}, {"late": 2}),
        ({"tooNewLogEventStartIndex": 2}, {"early": 2}),
        ({"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3}, {"late": 1, "early": 1}),
    ],
)
def test_events_rejected_inside_a_good_answer_are_counted(
    home: Home, moody: type[Moody], info: dict[str, int], dropped: dict[str, int]
) -> None:
    spool(home, *(call(timestamp=NOW - timedelta(minutes=minutes)) for minutes in (3, 1, 2, 0)))
    moody.answer = json.dumps({"rejectedLogEventsInfo": info}).encode()
    report = Forwarder(home, settings("cloudwatch_logs")).run_once()
    report.check()
    counted = {reason: report.of("cloudwatch_logs", f"dropped_{reason}") for reason in ("late", "early")}
    assert {reason: lines for reason, lines in counted.items() if lines} == dropped
    assert report.of("cloudwatch_logs", "acknowledged") == 4 - sum(dropped.values())


def test_the_queries_are_saved_and_saving_again_updates_them(moody: type[Moody]) -> None:
    saved = [{"name": "tollmeter/slowest_calls", "queryDefinitionId": "q1"}]
    moody.answer = json.dumps({"queryDefinitions": saved, "queryDefinitionId": "q2"}).encode()
    outcomes = dict(install(Settings.load({}), ["/tollmeter/chat"]))
    assert outcomes["tollmeter/slowest_calls"] == "updated"
    assert outcomes["tollmeter/latency_percentiles"] == "created"
    assert len(outcomes) == len(queries()) == 7


def test_the_queries_read_fields_that_the_logs_have() -> None:
    logged = {field.name for struct in (LlmCall, Request) for field in msgspec.structs.fields(struct)}
    logged |= {"timestamp", "level", "message", "kind"}
    for each in queries():
        assert each.purpose.endswith(".")
        assert len(each.text) <= 10_000
        made = set(re.findall(r" as (\w+)", each.text))
        words = set(re.findall(r"[a-z][a-z0-9]*_[a-z0-9_]+", re.sub(r'"[^"]*"', "", each.text)))
        assert words - made <= logged, each.name
    assert "pct(duration_ms, 95)" in query("latency_percentiles").text
    with pytest.raises(UnknownNameError, match="did you mean slowest_calls"):
        query("slowest_call")


def test_doctor_prices_the_series(home: Home, aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del aws
    spool(home, call(), call(request_model="o3"))
    Forwarder(home, settings("cloudwatch_metrics")).run_once().check()
    monkeypatch.setenv("TOLLMETER_SINKS", "cloudwatch_metrics")
    [found] = metric_series(home, Settings.load())
    series = int(found.text.split()[0])
    assert series >= 6
    assert f"${series * Decimal('0.30'):.2f} a month" in found.text
