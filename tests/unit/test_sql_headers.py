"""Headers of query files, and what their parameters accept."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from tollmeter.model.errors import DataError, SettingError, UnknownNameError, UsageError
from tollmeter.sql.named import load, names, parse

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
TEXT = """-- name: example
-- purpose: an example
-- param since timestamp = -30d: from then on
-- param day date = -1d: a day
-- param limit int = 10: rows
-- param bucket hour|day = day: width
-- param model text = '': model
-- column model varchar: model
-- column cost_usd decimal(38,12): cost
SELECT 1
"""


def bound(**given: object) -> dict[str, object]:
    return dict(parse(TEXT).bind(given, NOW))


def test_defaults_are_bound() -> None:
    assert bound() == {
        "since": datetime(2026, 10, 11, 12),  # noqa: DTZ001
        "day": date(2026, 11, 9),
        "limit": 10,
        "bucket": "day",
        "model": "",
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-01", datetime(2026, 11, 1)),  # noqa: DTZ001
        ("2026-11-01T12:30:00.000001", datetime(2026, 11, 1, 12, 30, 0, 1)),  # noqa: DTZ001
        ("2026-11-01T12:00:00+02:00", datetime(2026, 11, 1, 10)),  # noqa: DTZ001
        ("2026-11-01T12:00:00Z", datetime(2026, 11, 1, 12)),  # noqa: DTZ001
        ("now", datetime(2026, 11, 10, 12)),  # noqa: DTZ001
        ("-90m", datetime(2026, 11, 10, 10, 30)),  # noqa: DTZ001
        ("now-1w", datetime(2026, 11, 3, 12)),  # noqa: DTZ001
        (date(2026, 11, 1), datetime(2026, 11, 1)),  # noqa: DTZ001
        (datetime(2026, 11, 1, 12, tzinfo=timezone(timedelta(hours=1))), datetime(2026, 11, 1, 11)),  # noqa: DTZ001
    ],
)
def test_times_become_utc_without_zone(value: object, expected: datetime) -> None:
    assert bound(since=value)["since"] == expected


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("since", "yesterday", "a time such as 2026-11-01T12:00"),
        ("since", "-3x", "a time such as"),
        ("since", "-999999w", "a time such as"),
        ("since", 5, "a time such as"),
        ("day", "2026-13-01", "a day such as 2026-11-01"),
        ("limit", "ten", "a whole number, 0 or more"),
        ("limit", "-1", "a whole number, 0 or more"),
        ("limit", True, "a whole number, 0 or more"),
        ("limit", 2**63, "a whole number, 0 or more"),
        ("bucket", "week", "one of hour, day"),
        ("model", 5, "text"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name: str, value: object, allowed: str) -> None:
    with pytest.raises(SettingError, match=f"{name}=.* is not allowed: expected {allowed}"):
        bound(**{name: value})


def test_an_unknown_parameter_and_query_are_named_with_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="no parameter of example named 'sinse'; did you mean since"):
        bound(sinse="now")
    with pytest.raises(UnknownNameError, match="no query named 'cost_by_day_modle'; did you mean cost_by_day_model"):
        load("cost_by_day_modle")


def test_a_parameter_without_default_must_be_given() -> None:
    query = parse("-- name: q\n-- purpose: p\n-- param since timestamp: start\n-- columns: a, b\nSELECT 1")
    assert [column.name for column in query.columns] == ["a", "b"]
    with pytest.raises(UsageError, match="query q needs parameter since: expected a time such as"):
        query.bind({})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("-- name: q\nSELECT 1", "header lacks purpose"),
        ("SELECT 1", "header lacks name, purpose"),
        ("-- name: q\n-- purpose: p\n-- parm x int = 1: y\nSELECT 1", "header line 3 is none of"),
        ("-- name: q\n-- purpose: p\n-- param x money = 1: y\nSELECT 1", "header line 3: type 'money' is none of text"),
    ],
)
def test_a_bad_header_is_named_by_its_line(text: str, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        parse(text)


def test_every_query_file_has_a_header() -> None:
    assert {"cost_by_day_model", "latency_by_route_hour", "llm_requests_by_model_day"} <= set(names())
    for name in names():
        query = load(name)
        assert query.purpose
        assert query.columns
