"""Metrics to DogStatsD on real sockets: totals are those of the events, and nothing old is sent as now."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from recorded_events import served
from statsd_socket import Sample, StatsdSocket, udp_socket, unix_socket

from tollmeter.exporters.derive import seconds
from tollmeter.exporters.derive.datadog import log_ids, tags
from tollmeter.exporters.derive.dimensions import DimensionBudget
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.sinks import datadog_metrics
from tollmeter.exporters.sinks.datadog_metrics import DatadogMetrics
from tollmeter.exporters.sinks.stdout import log_record
from tollmeter.model.errors import SettingError
from tollmeter.model.events import Event, LlmCall, Request, Run, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings
from tollmeter.model.spool import close_segment, create_segment, service_folder


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(params=["udp", "unix"])
def agent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdSocket]:
    for name in [name for name in os.environ if name.startswith("DD_")]:
        monkeypatch.delenv(name)
    with TemporaryDirectory() as short, udp_socket() if request.param == "udp" else unix_socket(Path(short)) as opened:
        yield opened


def settings(agent: StatsdSocket, **more: Any) -> Settings:
    known = {"statsd_address": agent.address, "forward_interval_s": 0.05, "metric_interval_s": 0.1}
    return Settings.load({}, sinks=("datadog_metrics",), **known | more)


Opened = Callable[..., DatadogMetrics]


@pytest.fixture
def sink(agent: StatsdSocket, tmp_path: Path) -> Iterator[Opened]:
    opened: list[DatadogMetrics] = []

    def open_sink(**more: Any) -> DatadogMetrics:
        chosen = settings(agent, **more)
        opened.append(DatadogMetrics(chosen, DimensionBudget.of(chosen, tmp_path / "dimensions.json")))
        return opened[-1]

    yield open_sink
    for each in opened:
        each.close()


def lines(*events: Event) -> list[bytes]:
    return [encode(event).rstrip(b"\n") for event in events]


def call(**facts: Any) -> LlmCall:
    known: dict[str, Any] = {"timestamp": now(), "service": "chat", "provider": "openai", "request_model": "gpt-4o"}
    return LlmCall(event_id=new_event_id(), **known | facts)


def spool(home: Home, events: list[Event]) -> None:
    segment = create_segment(service_folder(home.spool, "chat"))
    for event in events:
        os.write(segment.fd, encode(event))
    close_segment(segment)


def collected(agent: StatsdSocket, run: Any) -> tuple[Any, list[Sample]]:
    """What a call answers and what comes meanwhile: a Unix socket holds few datagrams that nobody takes."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(run()))
    thread.start()
    samples: list[Sample] = []
    while thread.is_alive():
        samples += agent.samples()
    return found[0], samples + agent.samples()


def total(samples: list[Sample], name: str) -> float:
    return sum(sum(sample.values) for sample in samples if sample.name == name)


def test_totals_are_those_of_the_events(home: Home, agent: StatsdSocket) -> None:
    events = served(400, now=now())
    spool(home, events)
    report, samples = collected(agent, Forwarder(home, settings(agent)).run_once)
    report.check()
    assert report.counts["datadog_metrics.acknowledged"] == len(events)
    calls = [event for event in events if isinstance(event, LlmCall)]
    requests = [event for event in events if isinstance(event, Request)]
    assert total(samples, "tollmeter.llm.calls") == len(calls)
    assert total(samples, "tollmeter.http.requests") == len(requests)
    assert total(samples, "tollmeter.llm.input_tokens") == sum(each.input_tokens or 0 for each in calls)
    assert total(samples, "tollmeter.llm.throttles") == sum(each.http_status == 429 for each in calls)
    cost = float(sum((each.cost_usd or Decimal(0) for each in calls), Decimal(0)))
    assert total(samples, "tollmeter.llm.cost_usd") == pytest.approx(cost, abs=1e-9)
    latencies = Counter(v for sample in samples if sample.name == "tollmeter.llm.latency_ms" for v in sample.values)
    assert latencies == Counter(each.latency_ms for each in calls)
    kinds = {sample.name: sample.kind for sample in samples}
    assert (kinds["tollmeter.llm.calls"], kinds["tollmeter.http.duration_ms"]) == ("c", "d")
    [one] = {tuple(sorted(s.tags)) for s in samples if s.name == "tollmeter.http.requests"}
    assert one == ("env", "route", "service")
    assert all(sample.time is None for sample in samples)


def test_a_backlog_goes_to_its_own_minutes(agent: StatsdSocket, sink: Opened) -> None:
    old = now() - timedelta(minutes=10)
    minute = int(old.timestamp()) // 60 * 60
    metrics = sink()
    first = metrics.send(lines(*(call(timestamp=old, latency_ms=5.0, input_tokens=7) for _ in range(3))))
    second = metrics.send(lines(call(timestamp=old, input_tokens=1)))
    assert (first.acknowledged, dict(first.drops), dict(first.notes)) == (3, {}, {"late_values": 3})
    assert second.acknowledged == 1
    samples = agent.samples()
    assert total(samples, "tollmeter.llm.input_tokens") == 22
    assert {sample.kind for sample in samples} == {"c"}
    assert all(sample.time is not None and minute <= sample.time < minute + 60 for sample in samples)
    tokens = [sample.time for sample in samples if sample.name == "tollmeter.llm.input_tokens"]
    assert len(set(tokens)) == 2  # of two points with one time Datadog keeps the later alone


def test_a_call_is_as_fresh_as_its_end(agent: StatsdSocket, sink: Opened) -> None:
    long = call(timestamp=now() - timedelta(minutes=5), latency_ms=299_000.0)
    sink().send(lines(long))
    samples = agent.samples()
    assert total(samples, "tollmeter.llm.latency_ms") == 299_000.0
    assert {sample.time for sample in samples} == {None}


def test_what_datadog_takes_no_more_is_late_or_early(agent: StatsdSocket, sink: Opened) -> None:
    ages = [timedelta(hours=2), timedelta(0), timedelta(minutes=-20)]
    receipt = sink().send(lines(*(call(timestamp=now() - age) for age in ages)))
    assert (receipt.acknowledged, dict(receipt.drops)) == (1, {"late": 1, "early": 1})
    assert total(agent.samples(), "tollmeter.llm.calls") == 1


def test_a_minute_without_room_loses_no_point(
    agent: StatsdSocket, sink: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seconds, "MINUTE_S", 2)
    metrics = sink()
    old = now() - timedelta(minutes=10)
    receipts = [metrics.send(lines(call(timestamp=old, latency_ms=1.0))) for _ in range(4)]
    assert [receipt.acknowledged for receipt in receipts] == [1, 1, 1, 1]
    points = [(s.time, s.values) for s in agent.samples() if s.name == "tollmeter.llm.calls"]
    assert [values for _, values in points] == [(1,), (1,), (2,), (3,)]
    assert len({time for time, _ in points}) == 2
    assert dict(points)[points[0][0]] == (1,)  # as Datadog keeps them: 1 and 3, of 4 calls
    assert receipts[3].notes["late_values"] == 1


def test_a_shared_second_counts_nothing_that_never_left(
    agent: StatsdSocket, sink: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seconds, "MINUTE_S", 2)
    metrics = sink()
    old = lines(call(timestamp=now() - timedelta(minutes=10)))
    metrics.send(old)
    metrics.send(old)
    with monkeypatch.context() as patched:
        patched.setattr(metrics, "_statsd", datadog_metrics._client("unix:///nowhere/dsd.socket"))
        with pytest.raises(ConnectionError):
            metrics.send(old)
    metrics.send(old)
    assert [s.values for s in agent.samples() if s.name == "tollmeter.llm.calls"] == [(1,), (1,), (2,)]


def test_the_service_is_that_of_the_event(agent: StatsdSocket, sink: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DD_SERVICE": "forwarder", "DD_ENV": "x", "DD_VERSION": "0", "DATADOG_TAGS": "rack:7"}.items():
        monkeypatch.setenv(name, value)
    sink().send(lines(call(environment="prod", team="core", cost_usd=Decimal(1))))
    [cost] = [sample for sample in agent.samples() if sample.name == "tollmeter.llm.cost_usd"]
    expected = {"service": "chat", "env": "prod", "provider": "openai", "request_model": "gpt-4o", "team": "core"}
    assert cost.tags == expected | {"rack": "7"}


def test_a_preset_sends_its_names_under_their_types(agent: StatsdSocket, sink: Opened) -> None:
    request = Request(event_id=new_event_id(), timestamp=now(), service="chat", route="/chat", duration_ms=12.5)
    sink(metric_preset="ai_platform").send(lines(request, call(input_tokens=7, output_tokens=5)))
    found = {sample.name: sample for sample in agent.samples()}
    assert (found["ai_platform.tokens_used"].kind, found["ai_platform.tokens_used"].values) == ("c", (12.0,))
    assert found["ai_platform.tokens_used"].tags == {"model": "gpt-4o"}
    assert (found["ai_platform.latency"].kind, found["ai_platform.latency"].values) == ("d", (12.5,))
    assert found["ai_platform.latency"].tags == {"endpoint": "/chat"}
    assert found["ai_platform.requests"].tags == {"model": "gpt-4o", "status": "ok"}
    assert found["tollmeter.llm.tokens"].values == (12.0,)


def test_a_gauge_has_its_time_too(agent: StatsdSocket, sink: Opened) -> None:
    def run(age_s: float, lag_ms: float) -> Run:
        when = now() - timedelta(seconds=age_s)
        return Run(event_id=new_event_id(), timestamp=when, service="tollmeter", component="forward", lag_ms=lag_ms)

    sink().send(lines(run(0, 5.0), run(0, 9.0), run(600, 70.0)))
    lags = [sample for sample in agent.samples() if sample.name == "tollmeter.lag_ms"]
    assert {(sample.kind, sample.values[0], sample.time is None) for sample in lags} == {
        ("g", 9.0, True),
        ("g", 70.0, False),
    }


def test_labels_share_the_budget(agent: StatsdSocket, sink: Opened) -> None:
    receipt = sink(dimension_limit=1).send(lines(call(), call(request_model="o3")))
    models = {sample.tags.get("request_model") for sample in agent.samples() if sample.name == "tollmeter.llm.calls"}
    assert models == {"gpt-4o", "other"}
    assert receipt.notes["folded_request_model"] >= 1


def test_nothing_is_sent_of_a_broken_amount(agent: StatsdSocket, sink: Opened) -> None:
    receipt = sink().send(lines(call(cost_usd=Decimal("NaN")), call(cost_usd=Decimal("sNaN")), call()))
    assert (receipt.acknowledged, dict(receipt.drops)) == (1, {"invalid": 2})
    assert total(agent.samples(), "tollmeter.llm.calls") == 1


def test_an_agent_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    with TemporaryDirectory() as short:
        path = Path(short)
        chosen = Settings.load({}, statsd_address=f"unix://{path / 'dsd.socket'}")
        metrics = DatadogMetrics(chosen, DimensionBudget.of(chosen, tmp_path / "dimensions.json"))
        with pytest.raises(ConnectionError, match="took 0 datagrams"):
            metrics.send(lines(call()))
        with pytest.raises(FileNotFoundError):
            metrics.probe()
        with unix_socket(path) as agent:
            assert metrics.probe().endswith("/dsd.socket")
            assert metrics.send(lines(call())).acknowledged == 1
            assert total(agent.samples(), "tollmeter.llm.calls") == 1
        (path / "dsd.socket").unlink()
        with pytest.raises(ConnectionError):
            metrics.send(lines(call()))
        with unix_socket(path) as agent:
            assert metrics.send(lines(call(), call())).acknowledged == 2
            assert total(agent.samples(), "tollmeter.llm.calls") == 2
        metrics.close()


def test_an_agent_that_stops_reading_leaves_the_lines_in_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datadog_metrics, "_TIMEOUT_S", 0.1)
    with TemporaryDirectory() as short, unix_socket(Path(short)) as agent:
        chosen = Settings.load({}, statsd_address=agent.address, dimension_limit=10_000)
        metrics = DatadogMetrics(chosen, DimensionBudget.of(chosen, tmp_path / "dimensions.json"))
        events = [call(request_model=f"m{index}-{'x' * 150}", latency_ms=1.0) for index in range(1000)]
        receipt = metrics.send(lines(*events))
        assert receipt.in_doubt + receipt.acknowledged <= len(events)
        assert receipt.in_doubt > 0
        assert "refused" in receipt.error
        assert 0 < total(agent.samples(), "tollmeter.llm.calls") < len(events)
        metrics.close()


def test_a_switched_off_client_is_no_silent_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_DOGSTATSD_DISABLE", "true")
    with udp_socket() as agent:
        chosen = Settings.load({}, statsd_address=agent.address)
        metrics = DatadogMetrics(chosen, DimensionBudget.of(chosen, tmp_path / "dimensions.json"))
        with pytest.raises(ConnectionError):
            metrics.send(lines(call()))
        metrics.close()


def test_the_agent_is_found_as_the_client_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with udp_socket() as agent:
        monkeypatch.setenv("DD_DOGSTATSD_URL", agent.address)
        chosen = Settings.load({})
        metrics = DatadogMetrics(chosen, DimensionBudget.of(chosen, tmp_path / "dimensions.json"))
        metrics.send(lines(call()))
        assert total(agent.samples(), "tollmeter.llm.calls") == 1
        metrics.close()


@pytest.mark.parametrize("address", ["localhost:8125", "udp://localhost", "http://x:1", "unix://relative"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SettingError, match="udp://localhost:8125"):
        Settings.load({}, statsd_address=address)


HOSTILE = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60),
    st.sampled_from(["\x00", "a\nb:1|c", "|#x:y", ",", "x" * 4000, "😀" * 300, "\r", ":", "env:prod"]),
)


@given(st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), min_size=1, max_size=5))
@tried(max_examples=25, deadline=None)
def test_no_label_breaks_a_datagram(labels: list[tuple[str, str, str]]) -> None:
    with TemporaryDirectory() as folder, udp_socket() as agent:
        chosen = Settings.load({}, statsd_address=agent.address)
        metrics = DatadogMetrics(chosen, DimensionBudget.of(chosen, Path(folder) / "dimensions.json"))
        events = [
            call(service=a[:4096], request_model=b[:4096], team=c[:4096], cost_usd=Decimal(1)) for a, b, c in labels
        ]
        assert metrics.send(lines(*events)).acknowledged == len(events)
        samples = agent.samples()
        assert total(samples, "tollmeter.llm.calls") == len(events)
        assert total(samples, "tollmeter.llm.cost_usd") == len(events)
        metrics.close()


def test_a_tag_keeps_its_name_and_fits() -> None:
    [tag] = tags((("request_model", "x" * 4096),))
    assert (len(tag), tag[:15]) == (200, "request_model:x")


def test_log_lines_carry_what_joins_them_to_their_trace() -> None:
    event = call(
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7", environment="prod", version="1"
    )
    record = log_record(encode(event), datadog_ids=True)
    assert record is not None
    assert {name: record[name] for name in record if name.startswith("dd.")} == {
        "dd.trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "dd.span_id": "67667974448284343",
        "dd.service": "chat",
        "dd.env": "prod",
        "dd.version": "1",
    }
    assert record["trace_id"] == event.trace_id
    plain = log_record(encode(event))
    assert plain is not None
    assert not any(name.startswith("dd.") for name in plain)


@pytest.mark.parametrize("broken", [{}, {"trace_id": 7, "span_id": None}, {"trace_id": "x" * 32, "span_id": "0" * 16}])
def test_broken_ids_join_nothing(broken: dict[str, Any]) -> None:
    assert log_ids(broken) == {}
