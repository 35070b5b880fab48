"""The rollups of any events are those that Python makes of the same events, figure by figure."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, partial
from math import log
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from hand_lake import LANDED, row_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tollmeter.etl.rollups import totals
from tollmeter.etl.rollups.definitions import Rollup, rollups
from tollmeter.etl.rollups.queries import CALL_SUMS, MACROS
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.derived import bucket_of
from tollmeter.model.errors import InvariantError
from tollmeter.model.events import Event, LlmCall, Request, Run
from tollmeter.model.ids import new_event_id
from tollmeter.model.metrics import METRICS
from tollmeter.model.names import TABLE_LLM_CALLS, TABLE_REQUESTS, TABLE_RUNS

ZONE = "America/St_Johns"  # half an hour off, and with summer time
ROLLUPS = {rollup.table: rollup for rollup in rollups(ZONE)}
KINDS: dict[str, type[Event]] = {TABLE_REQUESTS: Request, TABLE_LLM_CALLS: LlmCall, TABLE_RUNS: Run}

_few = st.sampled_from(["", "a", "b"])
_counts = st.none() | st.integers(0, 10**6)
_millis = st.floats(0, 1e7).filter(lambda x: abs(round(_exact_bucket(x)) - _exact_bucket(x)) > 1e-6)
_usd = st.none() | st.decimals(0, 99, places=12)
_times = st.datetimes(datetime(2026, 3, 7, 22), datetime(2026, 3, 9, 6), timezones=st.just(UTC))
_identity = {"event_id": st.builds(new_event_id), "timestamp": _times, "service": _few, "environment": _few}
_who = _identity | dict.fromkeys(
    ("tenant_id", "team", "feature", "prompt_name", "prompt_version", "user_id", "session_id", "route"), _few
)
_calls = st.builds(
    LlmCall,
    **_who,
    **dict.fromkeys(("provider", "request_model", "response_model", "error_type", "fallback_from"), _few),
    **{name: _counts for name in CALL_SUMS if name.endswith("_tokens")},
    **{name: _usd for name in CALL_SUMS if name.endswith("_usd")},
    status=st.sampled_from(["ok", "error", "partial"]),
    http_status=st.sampled_from([None, 200, 429]),
    attempt=st.sampled_from([None, 1, 2]),
    cache_hit=st.booleans(),
    usage_source=st.sampled_from(["reported", "estimated", "missing"]),
    cost_status=st.sampled_from(["priced", "unpriced", "inconsistent"]),
    latency_ms=_millis,
    ttft_ms=st.none() | _millis,
    output_tokens_per_s=st.none() | _millis,
    ratelimit_limit_requests=st.sampled_from([None, 0, 10]),
    ratelimit_remaining_requests=st.sampled_from([None, 0, 4]),
)
_requests = st.builds(
    Request,
    **_who,
    status_code=st.sampled_from([None, 101, 200, 404, 500, 599]),
    duration_ms=_millis,
    client_disconnected=st.booleans(),
    error_type=_few,
    response_bytes=_counts,
)
_names = st.sampled_from(["acknowledged", "dropped", "dropped_late", "waiting_bytes", "held", "errors"])
_runs = st.builds(
    Run,
    **_identity,
    component=_few,
    sink=_few,
    outcome=st.sampled_from(["ok", "error"]),
    counts=st.dictionaries(_names, st.integers(0, 10**9)),
    lag_ms=st.none() | st.integers(0, 10**7).map(float),
)
_events = st.lists(_calls | _requests | _runs, max_size=30)


def _exact_bucket(x: float) -> float:

    return log(max(x, 0.001)) / log(1.02)


@settings(max_examples=15, deadline=None)
@given(_events)
def test_minutes_are_what_the_metric_registry_says_of_the_events(events: list[Event]) -> None:
    expected: dict[tuple[Any, ...], list[Any]] = {}
    for event in events:
        moment = _naive(event)
        for metric in METRICS:
            added = metric.contribution(event)
            if added is None:
                continue
            bucket = bucket_of(added) if metric.aggregate == "distribution" else None
            dimensions = {name: getattr(event, name) for name in metric.dimensions}
            if isinstance(event, LlmCall):
                dimensions["model"] = _model(event)
            key = (moment.replace(second=0, microsecond=0), metric.name, bucket, *sorted(dimensions.items()))
            found = expected.setdefault(key, [0, None])
            found[0] += 1
            if metric.aggregate == "counter":
                found[1] = (found[1] or 0) + Decimal(str(added))
            elif metric.aggregate == "gauge":
                found[1] = max(found[1] or 0, Decimal(str(added)))
    rows = _rolled("rollup_metrics_minute", events)
    names = [name for name in arrow_schema("rollup_metrics_minute").names if name in _DIMENSIONS]
    assert {
        (row["minute"], row["metric"], row["bucket"], *sorted((n, row[n]) for n in names if row[n] is not None)): [
            row["count"],
            row["value"],
        ]
        for row in rows
    } == expected
    assert all(row["arrived_at"] == LANDED for row in rows)


_DIMENSIONS = {name for metric in METRICS for name in metric.dimensions} | {"model"}
_CALL_HOUR = ("service", "environment", "route", "provider", "model", "status", "error_type")
_SPEND = (
    "service",
    "environment",
    "tenant_id",
    "team",
    "feature",
    "prompt_name",
    "prompt_version",
    "provider",
    "model",
)
_SESSION = ("service", "environment", "tenant_id", "team", "user_id", "session_id", "model")


@settings(max_examples=15, deadline=None)
@given(_events)
def test_hours_of_calls(events: list[Event]) -> None:
    calls = [event for event in events if isinstance(event, LlmCall)]
    expected = _grouped(calls, lambda call: (_hour(call), *_values(call, _CALL_HOUR)), _sums)
    rows = _rolled("rollup_calls_hourly", events)
    assert {(row["hour"], *(row[name] for name in _CALL_HOUR)): _of(row) for row in rows} == expected
    used = _grouped(calls, lambda call: (_hour(call), *_values(call, _CALL_HOUR)), _headroom)
    assert {(row["hour"], *(row[name] for name in _CALL_HOUR)): row["ratelimit_used_requests"] for row in rows} == used
    assert sum(row["last_at"] == max(map(_naive, calls)) for row in rows) >= bool(calls)


@settings(max_examples=15, deadline=None)
@given(_events)
def test_days_of_tenants_and_of_sessions_in_the_reporting_time_zone(events: list[Event]) -> None:
    for table, keys in (("rollup_spend_daily", _SPEND), ("rollup_sessions_daily", _SESSION)):
        expected = _grouped(
            [event for event in events if not isinstance(event, Run)],
            partial(_place, keys),
            lambda found: {**_sums([one for one in found if isinstance(one, LlmCall)]), "requests": _served(found)},
        )
        rows = _rolled(table, events)
        found = {(row["event_date"], row["day"], *(row[name] for name in keys)): _of(row) for row in rows}
        assert found == {key: {n: v for n, v in sums.items() if n in rows[0]} for key, sums in expected.items()}


@settings(max_examples=15, deadline=None)
@given(_events)
def test_days_of_calls_and_of_latency_in_the_reporting_time_zone(events: list[Event]) -> None:
    keys = ("service", "environment", "route", "provider", "model", "status", "error_type")
    served = [event for event in events if not isinstance(event, Run)]
    expected = _grouped(served, partial(_day_place, keys), _day_sums)
    rows = _rolled("rollup_calls_daily", events)
    found = {(row["event_date"], row["day"], *(row[name] for name in keys)): _of_days(row) for row in rows}
    assert found == expected
    hours, days = _rolled("rollup_latency_hourly", events), _rolled("rollup_latency_daily", events)
    places = ("metric", "event_date", "service", "environment", "route", "provider", "model", "bucket")
    assert _counted(days, (*places, "day")).total() == sum(len(_samples(event)) for event in events)
    assert _counted(days, places) == _counted(hours, places)
    assert {row["day"] for row in days} == {_day(event) for event in events if _samples(event)}


def _day_place(keys: Iterable[str], event: Event) -> tuple[Any, ...]:
    known = ("service", "environment", "route") if isinstance(event, Request) else tuple(keys)
    return _naive(event).date(), _day(event), *(_values(event, [name])[0] if name in known else None for name in keys)


def _day_sums(events: list[Any]) -> dict[str, Any]:
    served = _request_sums([one for one in events if isinstance(one, Request)])
    calls = [one for one in events if isinstance(one, LlmCall)]
    return _sums(calls) | {
        "requests": served["requests"], "request_errors": served["errors"], "failed_requests": served["failures"],
        "client_disconnects": served["client_disconnects"], "ratelimit_used_requests": _headroom(calls),
    }  # fmt: skip


def _of_days(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _day_sums([])}


def _counted(rows: list[dict[str, Any]], names: Iterable[str]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        found[tuple(row[name] for name in names)] += row["count"]
    return found


@settings(max_examples=15, deadline=None)
@given(_events)
def test_hours_of_requests_and_of_latency(events: list[Event]) -> None:
    requests = [event for event in events if isinstance(event, Request)]
    key = ("service", "environment", "route", "error_type")
    expected = _grouped(requests, lambda one: (_hour(one), _class(one), *_values(one, key)), _request_sums)
    rows = _rolled("rollup_requests_hourly", events)
    found = {(row["hour"], row["status_class"], *(row[name] for name in key)): _of(row) for row in rows}
    assert found == expected
    samples: dict[tuple[Any, ...], int] = {}
    for event in events:
        for metric, value, model in _samples(event):
            place = (metric, _hour(event), event.service, event.environment, *model, bucket_of(value))
            samples[place] = samples.get(place, 0) + 1
    rows = _rolled("rollup_latency_hourly", events)
    keys = ("metric", "hour", "service", "environment", "route", "provider", "model", "bucket")
    assert {tuple(row[name] for name in keys): row["count"] for row in rows} == samples


@settings(max_examples=15, deadline=None)
@given(_events.filter(bool), st.sampled_from(sorted(ROLLUPS)))
def test_what_is_checked_holds_and_notices_a_row_too_many(events: list[Event], table: str) -> None:
    connection, rollup = _opened(events), ROLLUPS[table]
    connection.execute(f"CREATE OR REPLACE TABLE rolled AS {rollup.query}")
    expected = totals.of_rows(connection, rollup.totals)
    totals.check(table, expected, totals.of_rollup(connection, "rolled", rollup.totals))
    connection.execute("INSERT INTO rolled SELECT * FROM rolled LIMIT 1")
    if expected:
        with pytest.raises(InvariantError, match=f"{table} does not add up to its rows .* 2026-03-0"):
            totals.check(table, expected, totals.of_rollup(connection, "rolled", rollup.totals))


def _opened(events: Iterable[Event]) -> duckdb.DuckDBPyConnection:
    connection = _connection()
    for name, kind in KINDS.items():
        rows = [row_of(event) for event in events if isinstance(event, kind)]
        full = [{column: row.get(column) for column in arrow_schema(name).names} for row in rows]
        connection.register(name, pa.Table.from_pylist(full, schema=arrow_schema(name)))
    return connection


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(MACROS)
    return connection


def _rolled(table: str, events: list[Event]) -> list[dict[str, Any]]:
    rollup: Rollup = ROLLUPS[table]
    names = ", ".join(f'"{name}"' for name in arrow_schema(table).names)
    found = _opened(events).sql(f"SELECT {names} FROM ({rollup.query})").to_arrow_table()
    rows: list[dict[str, Any]] = found.cast(arrow_schema(table)).to_pylist()
    return rows


def _grouped(events: Iterable[Any], key: Callable[[Any], Any], sums: Callable[[list[Any]], Any]) -> dict[Any, Any]:
    groups: dict[Any, list[Any]] = {}
    for event in events:
        groups.setdefault(key(event), []).append(event)
    return {place: sums(found) for place, found in groups.items()}


def _of(row: dict[str, Any]) -> dict[str, Any]:
    known = _sums([]).keys() | _request_sums([]).keys()
    return {name: value for name, value in row.items() if name in known}


def _sums(calls: list[LlmCall]) -> dict[str, Any]:
    tokens = {n: sum(getattr(c, n) or 0 for c in calls) for n in CALL_SUMS if n.endswith("_tokens")}
    money = {n: [v for c in calls if (v := getattr(c, n)) is not None] for n in CALL_SUMS if n.endswith("_usd")}
    return {
        "calls": len(calls),
        "errors": sum(c.status == "error" for c in calls),
        "partial_calls": sum(c.status == "partial" for c in calls),
        "throttles": sum(c.http_status == 429 for c in calls),
        "retries": sum((c.attempt or 0) > 1 for c in calls),
        "fallbacks": sum(c.fallback_from != "" for c in calls),
        "cache_hits": sum(c.cache_hit for c in calls),
        "unpriced_calls": sum(c.cost_usd is None for c in calls),
        "estimated_calls": sum(c.usage_source == "estimated" for c in calls),
        "missing_usage_calls": sum(c.usage_source == "missing" for c in calls),
        "inconsistent_calls": sum(c.cost_status == "inconsistent" for c in calls),
        **tokens,
        **{name: sum(values) if values else None for name, values in money.items()},
    }


def _request_sums(requests: list[Request]) -> dict[str, Any]:
    return {
        "requests": len(requests),
        "errors": sum((r.status_code or 0) >= 500 for r in requests),
        "failures": sum(r.error_type != "" for r in requests),
        "client_disconnects": sum(r.client_disconnected for r in requests),
        "response_bytes": sum(r.response_bytes or 0 for r in requests),
    }


def _headroom(calls: list[LlmCall]) -> float | None:
    told = [
        1 - c.ratelimit_remaining_requests / c.ratelimit_limit_requests
        for c in calls
        if c.ratelimit_limit_requests and c.ratelimit_remaining_requests is not None
    ]
    return max(told, default=None)


def _samples(event: Event) -> list[tuple[str, float, tuple[Any, ...]]]:
    if isinstance(event, Request):
        return [("http.duration_ms", event.duration_ms, (event.route, None, None))]
    if isinstance(event, LlmCall):
        place = (event.route, event.provider, _model(event))
        found = {
            "latency_ms": event.latency_ms,
            "ttft_ms": event.ttft_ms,
            "output_tokens_per_s": event.output_tokens_per_s,
        }
        return [(f"llm.{name}", value, place) for name, value in found.items() if value is not None]
    return []


def _place(keys: Iterable[str], event: Event) -> tuple[Any, ...]:
    return _naive(event).date(), _day(event), *_values(event, keys)


def _values(event: Event, names: Iterable[str]) -> tuple[Any, ...]:
    return tuple(_model(event) if name == "model" else getattr(event, name, None) for name in names)


def _model(event: Any) -> str | None:
    return (event.response_model or event.request_model or "(unknown)") if isinstance(event, LlmCall) else None


def _class(request: Request) -> str:
    code = request.status_code or 0
    return f"{code // 100}xx" if 200 <= code <= 599 else "none"


def _served(events: list[Event]) -> int:
    return sum(isinstance(event, Request) for event in events)


def _naive(event: Event) -> datetime:
    return event.timestamp.astimezone(UTC).replace(tzinfo=None)


def _hour(event: Event) -> datetime:
    return _naive(event).replace(minute=0, second=0, microsecond=0)


def _day(event: Event) -> Any:
    return event.timestamp.astimezone(ZoneInfo(ZONE)).date()
