"""Events to points, labels within their budget, and the forms CloudWatch takes."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollmeter.exporters.derive.cloudwatch import data, embedded, namespaces
from tollmeter.exporters.derive.dimensions import OTHER, DimensionBudget, kept_series
from tollmeter.exporters.derive.metrics import Aggregator, Key, Points
from tollmeter.exporters.log_stream import MAX_BYTES, LogEvent, batches
from tollmeter.exporters.sinks.base import InDoubtError
from tollmeter.exporters.sinks.metered import MetricSink
from tollmeter.model.emf import dimension_value
from tollmeter.model.errors import UnknownNameError
from tollmeter.model.events import Event, LlmCall, Request, encode
from tollmeter.model.ids import new_event_id
from tollmeter.model.metric_names import PRESETS, preset
from tollmeter.model.settings import Settings

NOW = datetime.now(UTC).replace(second=7, microsecond=0)
MINUTE = int(NOW.timestamp()) // 60 * 60


def call(**facts: Any) -> LlmCall:
    told = {"timestamp": NOW, "service": "chat", "provider": "openai", "request_model": "gpt-4o", **facts}
    return LlmCall(event_id=new_event_id(), **told)


def request(**facts: Any) -> Request:
    return Request(event_id=new_event_id(), **{"timestamp": NOW, "service": "chat", "route": "/chat", **facts})


def kept(field: str, value: str) -> str:
    del field
    return value


def by_name(points: Points) -> dict[str, Any]:
    return {key.name: value for key, value in (*points.sums.items(), *points.values.items())}


def test_points_are_sums_and_values_by_minute_and_dimensions() -> None:
    events: list[Event] = [
        call(latency_ms=100.0, input_tokens=10, cost_usd=Decimal("0.25")),
        call(latency_ms=100.0, input_tokens=5, output_tokens=1, status="error", http_status=429),
        request(duration_ms=120.0, status_code=500),
    ]
    found = by_name(Aggregator(kept).points(events))
    assert found["llm.calls"] == 2
    assert found["llm.tokens"] == 16
    assert (found["llm.errors"], found["llm.throttles"]) == (1, 1)
    assert found["llm.cost_usd"] == 0.25
    assert found["llm.latency_ms"] == Counter({100.0: 2})
    assert (found["http.requests"], found["http.errors"]) == (1, 1)
    dims = (("service", "chat"), ("environment", ""), ("provider", "openai"), ("request_model", "gpt-4o"))
    assert Aggregator(kept).points(events).sums[Key("llm.calls", dims, MINUTE)] == 2


def test_events_of_another_minute_are_other_points() -> None:
    points = Aggregator(kept).points([call(), call(timestamp=NOW - timedelta(minutes=3))])
    assert {key.minute for key in points.sums if key.name == "llm.calls"} == {MINUTE, MINUTE - 180}


def test_a_preset_sends_some_metrics_under_further_names() -> None:
    chosen = PRESETS["ai_platform"]
    points = Aggregator(kept, chosen.cloudwatch).points([call(input_tokens=7, output_tokens=5, environment="prod")])
    assert points.sums[Key("TokensUsed", (("Model", "gpt-4o"), ("Environment", "prod")), MINUTE)] == 12
    split = dict(namespaces(points, ["TokensUsed"], "Tollmeter", chosen.namespace))
    assert [key.name for key in split["AIplatform"].sums] == ["TokensUsed"]
    assert "TokensUsed" not in by_name(split["Tollmeter"])
    with pytest.raises(UnknownNameError, match="no metric preset named 'ai_plattform'; did you mean ai_platform"):
        preset("ai_plattform")


def test_labels_beyond_the_budget_are_folded_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "state" / "dimensions.json"
    budget = DimensionBudget(path, limit=2, named={"route": ["/kept"]})
    assert [budget.admit("route", value) for value in ("/a", "/b", "/kept", "/a", "")] == [
        "/a",
        OTHER,
        "/kept",
        "/a",
        "",
    ]
    assert [budget.admit("service", str(number)) for number in range(5)] == ["0", "1", "2", "3", "4"]
    assert budget.folded == {"route": 1}
    budget.count_series({"llm.calls": 3})
    budget.save()
    again = DimensionBudget(path, limit=2)
    assert [again.admit("route", value) for value in ("/b", "/a", "/c")] == [OTHER, "/a", OTHER]
    assert kept_series(path) == {"llm.calls": 3}


def test_hosts_that_share_the_list_keep_each_others_values(tmp_path: Path) -> None:
    path = tmp_path / "shared.json"
    one, other = DimensionBudget(path, limit=5), DimensionBudget(path, limit=5)
    one.admit("route", "/one")
    one.save()
    other.admit("route", "/other")
    other.save()
    assert msgspec.json.decode(path.read_bytes())["values"] == {"route": ["/one", "/other"]}
    path.write_bytes(b"{torn")
    assert DimensionBudget(path, limit=1).admit("route", "/x") == "/x"


@given(st.text())
def test_any_label_is_a_value_that_cloudwatch_takes(text: str) -> None:
    found = dimension_value(text)
    assert found.isascii()
    assert found.isprintable()
    assert found.strip()
    assert not found.startswith(":")
    assert len(found) <= 1024


def test_more_values_than_a_datum_holds_are_more_data() -> None:
    points = Aggregator(kept).points(call(latency_ms=float(number % 400)) for number in range(800))
    found = [each for each in data(points, Aggregator(kept).sent) if each["MetricName"] == "llm.latency_ms"]
    assert [len(each["Values"]) for each in found] == [150, 150, 100]
    assert sum(sum(each["Counts"]) for each in found) == 800
    assert found[0]["Timestamp"] == datetime.fromtimestamp(MINUTE, UTC)
    assert found[0]["Dimensions"][1] == {"Name": "environment", "Value": "none"}


def test_every_embedded_document_is_valid_and_they_hold_all_points(shared: Path) -> None:
    schema = json.loads((shared.parent / shared.name / "schemas" / "emf" / "emf-schema.json").read_text())
    check = jsonschema.Draft7Validator(schema)
    hostile = "m\x00\n\u2028ö" + "x" * 5000
    events = [call(latency_ms=float(number), ttft_ms=1.0, request_model=hostile) for number in range(350)]
    aggregator = Aggregator(kept, PRESETS["ai_platform"].cloudwatch)
    documents = list(embedded(aggregator.points([*events, request()]), aggregator.sent, "Tollmeter"))
    seen: Counter[str] = Counter()
    for document in documents:
        check.validate(json.loads(json.dumps(document)))
        [directive] = document["_aws"]["CloudWatchMetrics"]
        assert all(isinstance(document[name], str) and document[name] for name in directive["Dimensions"][0])
        for told in directive["Metrics"]:
            value = document[told["Name"]]
            assert not isinstance(value, list) or len(value) <= 100
            seen[told["Name"]] += len(value) if isinstance(value, list) else int(value)
    assert (seen["llm.calls"], seen["llm.latency_ms"], seen["llm.ttft_ms"], seen["http.requests"]) == (350, 350, 350, 1)


def test_log_events_are_cut_by_number_size_and_span() -> None:
    small = [LogEvent(0, b"x")] * 25_000
    assert [len(batch) for batch in batches(small)] == [10_000, 10_000, 5_000]
    large = [LogEvent(0, b"x" * 300_000)] * 7
    found = list(batches(large))
    assert [len(batch) for batch in found] == [3, 3, 1]
    assert all(sum(len(event.text) + 26 for event in batch) <= MAX_BYTES for batch in found)
    day = 24 * 3600 * 1000
    spread = [LogEvent(moment, b"x") for moment in (0, day - 1, day, 2 * day, 5)]
    assert [[event.time_ms for event in batch] for batch in batches(spread)] == [[0, day - 1], [day], [2 * day], [5]]
    assert list(batches([])) == []


class Kept(MetricSink):
    """Keeps what it is told to post; fails as it is told."""

    name = "kept"

    def __init__(self, tmp_path: Path, most: int = 10**9) -> None:
        super().__init__(Settings.load({}), DimensionBudget(tmp_path / "d.json", limit=3), ())
        self.posted: list[Points] = []
        self.failures: list[Exception | None] = []
        self.most = most

    def fits(self, points: Points) -> bool:
        return len(points) <= self.most

    def post(self, points: Points) -> None:
        failure = self.failures.pop(0) if self.failures else None
        if failure:
            raise failure
        self.posted.append(points)


def lines(count: int, **facts: Any) -> list[bytes]:
    return [encode(call(request_model=f"m{number}", **facts)) for number in range(count)]


def total(sink: Kept) -> float:
    return sum(value for points in sink.posted for key, value in points.sums.items() if key.name == "llm.calls")


def test_every_line_of_a_metric_sink_is_accounted_for_and_folding_is_told(tmp_path: Path) -> None:
    sink = Kept(tmp_path, most=11)
    late, early = NOW - timedelta(days=15), NOW + timedelta(hours=3)
    receipt = sink.send([*lines(5), b"{", encode(call(timestamp=late)), encode(call(timestamp=early))])
    assert (receipt.acknowledged, receipt.drops, receipt.lines) == (5, {"invalid": 1, "late": 1, "early": 1}, 8)
    assert receipt.notes == {"folded_request_model": 2}
    assert total(sink) == 5
    assert len(sink.posted) > 1
    assert kept_series(tmp_path / "d.json")["llm.calls"] == 4, "three models, and other"


def test_a_call_in_doubt_is_passed_and_one_that_failed_is_sent_again(tmp_path: Path) -> None:
    sink = Kept(tmp_path, most=5)
    sink.failures = [None, InDoubtError("no answer")]
    first = sink.send(lines(4))
    assert (first.acknowledged, first.in_doubt, first.error) == (1, 1, "in doubt: no answer")
    sink.failures = [None, ConnectionError("refused")]
    second = sink.send(lines(4)[2:])
    assert (second.lines, second.error) == (1, "ConnectionError: refused")
    sink.failures = [ConnectionError("refused")]
    with pytest.raises(ConnectionError):
        sink.send(lines(1))
    assert total(sink) == 2


def test_points_that_have_gone_are_not_sent_again_because_the_list_of_labels_cannot_be_kept(tmp_path: Path) -> None:
    sink = Kept(tmp_path / "away" / "home")
    (tmp_path / "away").write_text("a file where the folder belongs")
    assert sink.send(lines(3)).acknowledged == 3
    assert sink.send(lines(1)).acknowledged == 1
    assert total(sink) == 4


def test_sinks_in_threads_of_their_own_keep_one_list(tmp_path: Path) -> None:
    path = tmp_path / "d.json"

    def save(number: int) -> None:
        budget = DimensionBudget(path, limit=10**6)
        for turn in range(150):
            budget.admit("route", f"/{number}/{turn}")
            budget.save()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(save, number) for number in range(3)]:
            done.result()
    assert DimensionBudget(path, limit=0).admit("route", "/0/0") == "/0/0"
    assert [each.name for each in tmp_path.iterdir()] == ["d.json"]


def test_lines_are_timely_by_the_clock_of_the_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Kept(tmp_path)
    sink.oldest_s = 60.0
    moment = NOW.timestamp() + 61
    monkeypatch.setattr(time, "time", lambda: moment)
    assert sink.send(lines(2)).drops == {"late": 2}
    assert sink.posted == []
