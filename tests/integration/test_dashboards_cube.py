"""What the cube says of any span, dimension, filter, time zone and viewer is what the rows say, exactly."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hand_lake import call, land, request, roll_up

from tollmeter.dashboards.access.viewer import Viewer
from tollmeter.dashboards.dimensions import DIMENSIONS
from tollmeter.dashboards.lake import Lake
from tollmeter.dashboards.queries import cube
from tollmeter.dashboards.queries.cube import Ask, Sum
from tollmeter.dashboards.queries.plan import OF_CALLS, Grain
from tollmeter.dashboards.selection import Filters
from tollmeter.dashboards.window import Window
from tollmeter.model.derived import METRIC_DURATION, METRIC_LATENCY, METRIC_SPEED, METRIC_TTFT
from tollmeter.model.events import LlmCall, Request
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.sql.named import load

START = datetime(2026, 10, 30, tzinfo=UTC)
DAYS = 5
ZONES = ("America/New_York", "Asia/Kathmandu")  # New York's clocks go back on November 1
TEXTS = ("service", "environment", "version", "region", "route", "team", "feature", "prompt_name", "prompt_version")
ODD = ("", "a", "a,b", "it's", "<b>x</b>", "%_", "é" * 50)
GRAINS: tuple[Grain, ...] = ("all", "minute", "hour", "day", "month")
EXACT = [name for name in cube.FIGURES if not name.startswith("ratelimit")]


class Seen(Lake):
    """The lake of a home, and the events that were landed in it."""

    def __init__(self, home: Home, events: list[LlmCall | Request]) -> None:
        super().__init__(home, Settings.load({}))
        self.events = events


@pytest.fixture(scope="module", params=ZONES)
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Seen, str]]:
    home, chance = Home(tmp_path_factory.mktemp("lake") / "home"), random.Random(6)
    events = list(_events(chance))
    land(home, events)
    roll_up(home, request.param)
    seen = Seen(home, events)
    yield seen, request.param
    seen.close()


def _events(chance: random.Random) -> Iterator[LlmCall | Request]:
    for number in range(1500):
        moment = START + timedelta(seconds=chance.uniform(0, DAYS * 86_400))
        who = {name: chance.choice(ODD) for name in TEXTS} | {
            "tenant_id": chance.choice(["x", "y", "y,x", ""]), "user_id": f"u{chance.randrange(40)}",
            "session_id": f"s{number % 90}", "experiment": chance.choice(["", "e"]), "variant": chance.choice("ab"),
        }  # fmt: skip
        yield _call(chance, moment, who)
        if number % 2:
            yield request(moment, duration_ms=chance.lognormvariate(6, 1), status_code=chance.choice([200, 500]),
                          error_type=chance.choice(["", "Boom"]), client_disconnected=chance.random() < 0.1,
                          **who)  # fmt: skip


def _call(chance: random.Random, moment: datetime, who: dict[str, str]) -> LlmCall:
    cost = None if chance.random() < 0.2 else Decimal(chance.randrange(10**10)).scaleb(-12)
    status = chance.choice(["ok", "ok", "error", "partial"])
    return call(
        moment, **who, provider=chance.choice(["p", "q", ""]), request_model=chance.choice(["", "m1", "m2"]),
        response_model=chance.choice(["", "m1", "M3,x"]), stream=chance.random() < 0.5, status=status,
        error_type="RateLimitError" if status == "error" else "", http_status=chance.choice([200, 429, None]),
        attempt=chance.choice([None, 1, 2]), fallback_from=chance.choice(["", "m9"]), cache_hit=chance.random() < 0.1,
        usage_source=chance.choice(["reported", "estimated", "missing"]),
        cost_status="unpriced" if cost is None else chance.choice(["priced", "inconsistent"]),
        input_tokens=chance.choice([None, chance.randrange(9000)]), output_tokens=chance.randrange(900),
        cache_read_tokens=chance.choice([None, 64]), cache_write_1h_tokens=chance.choice([None, 3]),
        reasoning_tokens=chance.choice([None, 5]), latency_ms=chance.lognormvariate(6, 1),
        ttft_ms=chance.choice([None, chance.lognormvariate(5, 1)]),
        output_tokens_per_s=chance.choice([None, chance.uniform(1, 200)]), cost_usd=cost, input_cost_usd=cost,
        fees_usd=chance.choice([None, Decimal("0.01")]), cache_savings_usd=chance.choice([None, cost]),
    )  # fmt: skip


def _asks(zone: str, seed: int) -> Iterator[Ask]:
    """Questions of every grain over spans of any minutes, whole days among them; every dimension comes up."""
    chance, names = random.Random(seed), list(DIMENSIONS)
    for number, grain in enumerate(GRAINS * 7):
        first = START.replace(tzinfo=None) + timedelta(minutes=chance.randrange(2 * 1440))
        if number % 3:
            first = first.replace(minute=0)
        last = first + timedelta(minutes=chance.choice([7, 60, 95, 1440, 2880, 3111]))
        now = last - timedelta(minutes=5) if number % 7 == 0 else last
        span = Window(first, last, "hour", now, zone)
        if number % 7 == 0:
            span = Window(first, START.replace(tzinfo=None) + timedelta(days=DAYS + 1), "day", first, zone)
        group = ["", *names][number % (len(names) + 1)]
        tenants = chance.choice([("x",), ("y", ""), ()]) if number % 5 == 4 else None
        yield Ask(span, Viewer("ada", tenants), group, _filters(chance, names), grain, top=chance.choice([2, 100]))
    first = START.replace(tzinfo=None) + timedelta(hours=27.4)
    span = Window(first, first + timedelta(hours=50.6), "hour", first + timedelta(hours=60), zone)
    yield Ask(span, Viewer("ada", None), "route")
    midnight = datetime.combine(START.date(), datetime.min.time(), ZoneInfo(zone)) + timedelta(days=1)
    whole = midnight.astimezone(UTC).replace(tzinfo=None)
    for group in ("", "model"):
        for grain in GRAINS:
            span = Window(whole, whole + timedelta(days=2), "day", whole + timedelta(days=9), zone)
            yield Ask(span, Viewer("ada", None), group, (), grain)


def _filters(chance: random.Random, names: list[str]) -> Filters:
    known = {"tenant": ["x", "", "y,x"], "model": ["m1", "M3,x", "(unknown)"], "status": ["error"],
             "stream": ["true"], "team": ["", "it's"], "route": ["%_", "a"], "user": ["u1", "u2", "u3"],
             "prompt": ["<b>x</b>"]}  # fmt: skip
    chosen = chance.sample(sorted(known), chance.choice([0, 0, 1, 2]))
    assert set(known) <= set(names)
    return tuple((name, tuple(known[name])) for name in chosen)


def _value(event: LlmCall | Request, name: str) -> str | None:
    if isinstance(event, Request) and name in OF_CALLS:
        return None
    if name == "model":
        return getattr(event, "response_model", "") or getattr(event, "request_model", "") or "(unknown)"
    if name == "stream":
        return str(getattr(event, "stream", None)).lower()
    return str(getattr(event, DIMENSIONS[name].column))


def _chosen(events: list[LlmCall | Request], ask: Ask) -> Iterator[tuple[datetime, str, LlmCall | Request]]:
    span, tenants = ask.window, ask.viewer.tenants
    for event in events:
        moment = event.timestamp.replace(tzinfo=None)
        inside = span.start <= moment < span.end and (tenants is None or event.tenant_id in tenants)
        name = _value(event, ask.group) if ask.group else ""
        if inside and name is not None and all(_value(event, key) in values for key, values in ask.filters):
            yield _place(moment, ask), name, event


def _place(moment: datetime, ask: Ask) -> datetime:
    if ask.grain == "all":
        return ask.window.start
    return Window(ask.window.start, ask.window.end, ask.grain, ask.window.now, ask.window.zone).place(moment)


def _summed(events: list[LlmCall | Request]) -> dict[str, Any]:
    calls = [event for event in events if isinstance(event, LlmCall)]
    served = [event for event in events if isinstance(event, Request)]
    found: dict[str, Any] = {
        "calls": len(calls), "requests": len(served), "errors": sum(one.status == "error" for one in calls),
        "partial_calls": sum(one.status == "partial" for one in calls),
        "throttles": sum(one.http_status == 429 for one in calls),
        "retries": sum((one.attempt or 0) > 1 for one in calls),
        "fallbacks": sum(one.fallback_from != "" for one in calls),
        "cache_hits": sum(bool(one.cache_hit) for one in calls),
        "unpriced_calls": sum(one.cost_usd is None for one in calls),
        "estimated_calls": sum(one.usage_source == "estimated" for one in calls),
        "missing_usage_calls": sum(one.usage_source == "missing" for one in calls),
        "inconsistent_calls": sum(one.cost_status == "inconsistent" for one in calls),
        "request_errors": sum((one.status_code or 0) >= 500 for one in served),
        "failed_requests": sum(one.error_type != "" for one in served),
        "client_disconnects": sum(bool(one.client_disconnected) for one in served),
    }  # fmt: skip
    for name in EXACT:
        if name.endswith("_tokens"):
            found[name] = sum(getattr(one, name) or 0 for one in calls)
        elif name.endswith("_usd"):
            told = [value for one in calls if (value := getattr(one, name)) is not None]
            found[name] = sum(told) if told else None
    return found


def _ranked(groups: dict[str, Any], weight: Any, top: int) -> dict[str, str | None]:
    order = sorted(groups, key=lambda name: (-weight(groups[name]), name))
    return {name: name if place < top else None for place, name in enumerate(order)}


def _expected(events: list[LlmCall | Request], ask: Ask) -> tuple[dict[tuple[datetime, str | None], Any], int]:
    chosen = list(_chosen(events, ask))
    by_name: dict[str, list[Any]] = defaultdict(list)
    for _, name, event in chosen:
        by_name[name].append(event)
    shown = _ranked(by_name, lambda found: _summed(found)["cost_usd"] or 0, ask.top)
    groups: dict[tuple[datetime, str | None], list[Any]] = defaultdict(list)
    for place, name, event in chosen:
        groups[place, shown[name]].append(event)
    return {key: _summed(found) for key, found in groups.items()}, len([name for name in by_name if name])


def test_sums_are_those_of_the_rows(lake: tuple[Seen, str]) -> None:
    sources = set()
    for ask in _asks(lake[1], 1):
        found = cube.sums(lake[0], ask)
        sources.add(found.source)
        expected, names = _expected(lake[0].events, ask)
        assert {(row.bucket, row.name) for row in found.rows} == set(expected), ask
        assert found.values_found == (names if found.rows else 0), ask
        for row in found.rows:
            told = {name: getattr(row, name) for name in EXACT if _is_told(row, name, found.source)}
            assert told == {name: expected[row.bucket, row.name][name] for name in told}, ask
            assert {"calls", "errors", "unpriced_calls", "input_tokens", "cache_read_tokens"} <= set(told)
            assert (row.requests is None) == bool(ask.asked() & OF_CALLS)
        assert [row.bucket for row in found.rows] == sorted(row.bucket for row in found.rows)
    hours = {"hours"} if lake[1] == "America/New_York" else set()
    assert sources == {"days", "spend", "sessions", "rows"} | hours


def _is_told(row: Sum, name: str, source: str) -> bool:
    """A sum of money may be null though it is known: no call has any."""
    return getattr(row, name) is not None or (name.endswith("_usd") and source != "sessions")


METRICS = (METRIC_LATENCY, METRIC_TTFT, METRIC_SPEED, METRIC_DURATION)


def test_percentiles_are_within_one_in_a_hundred_of_those_of_the_rows(lake: tuple[Seen, str]) -> None:
    sources = set()
    for number, ask in enumerate(_asks(lake[1], 3)):
        metric = METRICS[number % len(METRICS)]
        field = metric.partition(".")[2]
        kind = Request if metric == METRIC_DURATION else LlmCall
        measured = [event for event in lake[0].events if isinstance(event, kind) and getattr(event, field) is not None]
        found = cube.quantiles(lake[0], ask, metric)
        sources.add(found.source)
        expected = _samples(measured, ask, field)
        assert {(row.bucket, row.name): row.samples for row in found.rows} == {
            key: len(values) for key, values in expected.items()
        }, ask
        for row in found.rows:
            values = sorted(expected[row.bucket, row.name])
            for share, told in ((50, row.p50), (75, row.p75), (90, row.p90), (95, row.p95), (99, row.p99)):
                exact = values[ceil(share * len(values) / 100) - 1]
                assert told == pytest.approx(exact, rel=0.01), ask
    assert sources == {"days", "rows"} | ({"hours"} if lake[1] == "America/New_York" else set())


def _samples(measured: list[LlmCall | Request], ask: Ask, field: str) -> dict[tuple[datetime, str | None], list[float]]:
    chosen = list(_chosen(measured, ask))
    by_name: dict[str, list[Any]] = defaultdict(list)
    for _, name, event in chosen:
        by_name[name].append(event)
    shown = _ranked(by_name, len, ask.top)
    groups: dict[tuple[datetime, str | None], list[float]] = defaultdict(list)
    for place, name, event in chosen:
        groups[place, shown[name]].append(getattr(event, field))
    return groups


def test_every_dimension_can_be_asked_for_by_the_name_it_has_in_the_address() -> None:
    for query in ("sums", "quantiles"):
        known = {one.name: one for one in load(query).parameters}
        assert known["by"].type.split("|") == ["none", *DIMENSIONS]
        assert set(DIMENSIONS) <= set(known)
    columns = [column.name for column in load("sums").columns]
    assert columns == ["bucket", "name", "place", "values_found", *cube.FIGURES]
