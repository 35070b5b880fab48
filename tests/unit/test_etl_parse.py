"""One verdict per line: what is taken, what is quarantined and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tollmeter.etl.lines import MAX_LINE_BYTES, Line
from tollmeter.etl.parse import MAX_DEPTH, Fault, Parsed, parse_line
from tollmeter.model.events import LlmCall, Request

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ID = "01a20823-4d53-70f8-8304-24e3465151ac"


def text(kind: str = "llm_call", **fields: Any) -> str:
    return json.dumps(
        {"kind": kind, "event_id": ID, "timestamp": "2026-11-22T10:00:00Z", "service": "chat", **fields},
        ensure_ascii=False,
    )


def verdict(line: str | bytes) -> Parsed | Fault:
    data = line.encode() if isinstance(line, str) else line
    return parse_line(Line(data, len(data)), NOW)


def taken(line: str | bytes) -> Parsed:
    found = verdict(line)
    assert isinstance(found, Parsed), found
    return found


GOOD = text()

BROKEN = {
    "truncated": (GOOD[: len(GOOD) // 2], "not_json", "truncated"),
    "empty": ("", "not_json", "empty"),
    "garbage": ("hello", "not_json", "malformed"),
    "two objects": (GOOD + GOOD, "not_json", "trailing"),
    "NaN": (GOOD[:-1] + ', "latency_ms": NaN}', "not_json", "invalid character"),
    "NUL byte": (GOOD.replace("chat", "ch\0at"), "not_json", "NUL byte at offset"),
    "lone surrogate": (text(service="X").replace("X", "\\ud800x"), "not_json", ""),
    "nested too deeply": (GOOD[:-1] + ', "zz": ' + "[" * 50_000 + "]" * 50_000 + "}", "not_json", "nested too deeply"),
    "invalid UTF-8": (GOOD.encode().replace(b"chat", b"ch\xff"), "not_utf8", "byte 0xff at offset"),
    "invalid UTF-8 in an unknown field": (GOOD.encode()[:-1] + b', "zz": "\xff"}', "not_utf8", "byte 0xff"),
    "array": ("[]", "invalid", "Expected `object`, got `array`"),
    "null": ("null", "invalid", "got `null`"),
    "unknown kind": (text("span"), "unknown_kind", "'span'"),
    "missing kind": ("{}", "unknown_kind", "kind"),
    "kind of the wrong type": ('{"kind": 1}', "unknown_kind", "kind"),
    "text in a number": (text(input_tokens="abc"), "invalid", "$.input_tokens"),
    "digits in text": (text(input_tokens="12"), "invalid", "$.input_tokens"),
    "fraction in a count": (text(input_tokens=39.5), "invalid", "$.input_tokens"),
    "negative count": (text(input_tokens=-1), "invalid", "$.input_tokens"),
    "over int64": (text(input_tokens=2**63), "invalid", "$.input_tokens"),
    "far over int64": (text(input_tokens=10**60), "invalid", "$.input_tokens"),
    "float overflow": (GOOD[:-1] + ', "latency_ms": 1e400}', "invalid", "$.latency_ms"),
    "escaped NUL": (text(tags={"a": "\0"}), "invalid", "NUL"),
    "escaped NUL in an unknown field": (text(zz="\\\0"), "invalid", "NUL"),
    "no event_id": (GOOD.replace("event_id", "event_ix"), "invalid", "event_id"),
    "event_id is no UUID": (GOOD.replace(ID, "x"), "invalid", "$.event_id"),
    "time without zone": (text(timestamp="2026-11-22T10:00:00"), "invalid", "$.timestamp"),
    "time as a number": (text(timestamp=1700000000), "invalid", "$.timestamp"),
    "before 1970": (text(timestamp="1969-12-31T23:59:59Z"), "invalid", "timestamp"),
    "year 1 east of Greenwich": (text(timestamp="0001-01-01T00:00:00+05:00"), "invalid", "timestamp"),
    "year 9999": (text(timestamp="9999-12-31T23:59:59-05:00"), "invalid", "timestamp"),
    "money NaN": (text(cost_usd="NaN"), "money", "cost_usd=NaN"),
    "money sNaN": (text(cost_usd="sNaN"), "money", "cost_usd=sNaN"),
    "money infinite": (text(cost_usd="-Infinity"), "money", "cost_usd=-Infinity"),
    "money of a million": (text(cost_usd="1000000"), "money", "less than 1000000"),
    "money astronomical": (text(cost_usd="1E+9999"), "money", "cost_usd=1E+9999"),
    "money with 13 decimals": (text(fees_usd="0.0000000000001"), "money", "more than 12 decimals"),
    "money negative": (text(cost_usd="-0.01"), "money", "0 or more"),
    "money of a request": (text("request", cost_usd="NaN"), "money", "cost_usd"),
    "money as words": (text(cost_usd="ten"), "invalid", "$.cost_usd"),
}


@pytest.mark.parametrize(("line", "reason", "detail"), BROKEN.values(), ids=BROKEN)
def test_a_broken_line_says_why(line: str | bytes, reason: str, detail: str) -> None:
    found = verdict(line)
    assert isinstance(found, Fault)
    assert (found.reason, detail in found.detail) == (reason, True), found


def test_a_long_line_is_named_by_its_true_size() -> None:
    assert parse_line(Line(b"x" * 100, 10 << 20), NOW) == Fault(
        "too_long", f"10485760 bytes, {MAX_LINE_BYTES} are allowed"
    )


@pytest.mark.parametrize(
    "amount", ["0", "-0", "0E+10", "1E+5", "999999.999999999999", "0.10000000000000000000", "1e-12"]
)
def test_any_spelling_of_an_exact_amount_is_taken(amount: str) -> None:
    event = taken(text(cost_usd=amount)).event
    assert isinstance(event, LlmCall)
    assert event.cost_usd == Decimal(amount)


def test_savings_may_be_negative() -> None:
    event = taken(text(cache_savings_usd="-0.5")).event
    assert isinstance(event, LlmCall)
    assert event.cache_savings_usd == Decimal("-0.5")


def test_the_last_of_duplicate_keys_counts() -> None:
    event = taken(GOOD[:-1] + ', "input_tokens": 1, "input_tokens": 2}').event
    assert isinstance(event, LlmCall)
    assert event.input_tokens == 2
    assert taken(GOOD[:-1] + ', "tags": {"a": "1", "a": "2"}}').texts == {"tags": '{"a":"2"}'}


def test_each_of_duplicate_keys_must_be_valid() -> None:
    assert isinstance(verdict(GOOD[:-1] + ', "input_tokens": "x", "input_tokens": 2}'), Fault)


@pytest.mark.parametrize(("depth", "is_taken"), [(MAX_DEPTH - 1, True), (MAX_DEPTH, False)])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_how_deep_a_line_may_nest_does_not_depend_on_the_caller(
    depth: int, is_taken: bool, opened: str, closed: str
) -> None:
    line = GOOD[:-1] + ', "text": "[[[{{{\\"[", "zz": ' + opened * depth + "1" + closed * depth + "}"
    assert isinstance(verdict(line), Parsed) is is_taken
    assert deeper(600, line) == verdict(line)


def deeper(frames: int, line: str) -> Parsed | Fault:
    return deeper(frames - 1, line) if frames else verdict(line)


def test_unknown_fields_are_kept_as_they_were_spelled() -> None:
    found = taken(GOOD[:-1] + ', "zz": 123456789012345678901234567890, "batch_id": {"a":  1.50}, "tags": {"a": "b"}}')
    assert found.extra == '{"zz":123456789012345678901234567890,"batch_id":{"a":  1.50}}'
    assert found.texts == {"tags": '{"a": "b"}'}


def test_known_fields_leave_no_extra() -> None:
    assert taken(text(tags={"a": "b"})).extra is None


def test_unknown_fields_of_a_step_stay_in_the_steps() -> None:
    step = {"name": "retrieve", "start_ms": 1.0, "duration_ms": 2.0, "docs": 7}
    found = taken(text("request", steps=[step]))
    assert isinstance(found.event, Request)
    assert json.loads(found.texts["steps"]) == [step]


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    event = taken(GOOD.replace("chat", "a\\\\u0000")).event
    assert event.service == "a\\u0000"


def test_the_clock_of_the_writer_may_be_a_day_fast() -> None:
    assert isinstance(verdict(text(timestamp=(NOW + timedelta(days=1)).isoformat())), Parsed)
    assert isinstance(verdict(text(timestamp=(NOW + timedelta(days=1, microseconds=1)).isoformat())), Fault)
