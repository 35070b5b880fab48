"""What the page of calls makes of rows: searches, costs written out, timelines, links."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tollmeter.dashboards.prepare import call_cost, call_facts, call_rows, call_search, trace_links
from tollmeter.dashboards.prepare.timeline import timeline
from tollmeter.dashboards.queries.calls import CallRow, CallStep
from tollmeter.dashboards.queries.plan import conditions
from tollmeter.dashboards.selection import Selection, parse_search
from tollmeter.dashboards.window import window
from tollmeter.model.columns import columns_of

NOW = datetime(2026, 11, 23, 10, 37)
HOSTILE = ("<script>alert(1)</script>", "=1+1", "a,b&c=d", "x" * 10_000, "\x00\x1b[31m", "ö'\"\\")
CALL = CallRow(NOW, "id", NOW.date(), "r", "t", "s", "u", "acme", "", "", "chat", "/chat", "openai", "gpt-4o", "ok", "",
               200, 1, 10, 2, 0, 120.0, None, Decimal("0.1"), "priced")  # fmt: skip
STEP = CallStep(NOW, "c1", NOW.date(), "chat", "r", "s1", "", "acme", "u", "", "/chat", "", "", "chat", "gpt-4o", "ok",
                "", 200, 1, "", False, "stop", 10, 2, 0, "", 100.0, None, Decimal("0.1"), "priced")  # fmt: skip


def row(**fields: Any) -> dict[str, Any]:
    return dict.fromkeys((column.name for column in columns_of("llm_calls")), None) | fields


def test_the_sum_equals_the_cost_to_the_last_digit() -> None:
    found = call_cost.cost_sum(row(
        cost_usd=Decimal("0.123456789012"), input_cost_usd=Decimal("0.1"), output_cost_usd=Decimal("0.02"),
        cache_read_cost_usd=Decimal("0.003456789011"), fees_usd=Decimal("0.000000000001"), cost_status="priced",
    ))  # fmt: skip
    left, right = found.text.replace("$", "").split(" = ")
    assert sum(map(Decimal, left.split(" + "))) == Decimal(right) == Decimal("0.123456789012")
    assert found.adds_up
    assert not call_cost.cost_sum(row(cost_usd=Decimal(2), input_cost_usd=Decimal(1), cost_status="priced")).adds_up


def test_an_unknown_cost_is_no_zero() -> None:
    found = call_cost.cost_sum(row(cost_status="unpriced"))
    assert (found.text, found.total, found.status) == ("", "", "unpriced")
    assert "not 0" in found.meaning


def test_tokens_by_class_tell_the_rate_that_was_paid() -> None:
    found = {one.name: one for one in call_cost.token_classes(row(
        input_tokens=1000, cache_read_tokens=600, cache_write_tokens=100, output_tokens=50, reasoning_tokens=20,
        input_cost_usd=Decimal("0.00075"), cache_read_cost_usd=Decimal("0.00018"), output_cost_usd=Decimal("0.0005"),
    ))}  # fmt: skip
    assert found["uncached"].tokens == 300
    assert found["uncached"].rate == "$2.50 per million"
    assert found["cache read"].rate == "$0.30 per million"
    assert found["reasoning"].part_of == "Output"
    assert "audio in" not in found


@pytest.mark.parametrize(
    ("typed", "taken"),
    [("1-5759e988-BD862E3FE1BE46A994272793", "5759e988bd862e3fe1be46a994272793"), (" RateLimit ", "RateLimit"),
     ("019AA0C8-5C00-7000-8000-000000000000", "019aa0c8-5c00-7000-8000-000000000000"), ("x" * 300, "x" * 256)],
)  # fmt: skip
def test_what_is_typed_becomes_what_is_looked_for(typed: str, taken: str) -> None:
    assert call_search.search_text(typed) == taken


@pytest.mark.parametrize("typed", ["NaN", "inf", "1e99", "--", "=1+1", "0x1", "", "1" * 40])
def test_no_number_asks_nothing(typed: str) -> None:
    assert call_search.amount(typed) == ""
    assert call_search.milliseconds(typed) == ""


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_stay_text_in_rows_filters_and_addresses(value: str) -> None:
    span = window(Selection(), NOW)
    selection = Selection().with_filter("model", (value,))
    (made,) = call_rows.grid_rows([replace(CALL, model=value, route=value)], selection, span)
    assert (made["model"], made["route"]) == (value, value)
    again = parse_search(made["href"], call_search.OWN)
    assert (again.values("model"), again.get("call"), again.get("at")) == ((value,), "id", "2026-11-23")
    assert conditions(selection.filters) == {"model": f"\x1f{value}\x1f"}
    (bar,) = timeline(None, [replace(STEP, model=value)]).bars
    assert bar.name == value
    assert json.loads(call_facts.raw_json(row(response_model=value)))["response_model"] == value


def test_the_pager_leads_back_and_on() -> None:
    second = Selection().with_extra("page", "2").with_extra("q", "x")
    text, before, after = call_rows.pager(second, 100)
    assert text == "rows 101 to 200"
    assert dict(parse_qsl(before[1:])) == {"q": "x"}
    assert dict(parse_qsl(after[1:])) == {"q": "x", "page": "3"}
    assert call_rows.pager(second, 7)[2] == ""


def test_a_timeline_holds_steps_and_calls_on_one_scale() -> None:
    steps = [{"name": "retrieve", "start_ms": 10, "duration_ms": 30, "span_id": "s9"}]
    request = {"timestamp": NOW, "duration_ms": 400.0, "status_code": 200, "error_type": "", "method": "POST",
               "route": "/chat", "span_id": "s0", "steps": json.dumps(steps)}  # fmt: skip
    calls = [
        replace(STEP, parent_span_id="s9", created_at=NOW + timedelta(milliseconds=20), latency_ms=10.0),
        replace(STEP, event_id="c2", status="error", error_type="Timeout", attempt=2,
                created_at=NOW + timedelta(milliseconds=100), latency_ms=200.0),
    ]  # fmt: skip
    found = timeline(request, calls, "c2")
    assert [(bar.kind, bar.depth, bar.left, bar.width) for bar in found.bars] == [
        ("request", 0, 0.0, 100.0), ("step", 1, 2.5, 7.5), ("call", 2, 5.0, 2.5), ("call", 1, 25.0, 50.0),
    ]  # fmt: skip
    assert found.bars[3].chosen
    assert found.bars[3].label == "200 ms · $0.1000 · Timeout · attempt 2"
    assert timeline(None, []).bars == ()
    assert len(timeline(request | {"steps": "not a list"[:0] or "{}"}, []).bars) == 1


def test_latency_is_split_where_a_first_token_was_seen() -> None:
    parts = call_facts.latency_parts(row(latency_ms=1000.0, ttft_ms=250.0))
    assert [(part.ms, part.percent) for part in parts] == [(250.0, 25.0), (750.0, 75.0)]
    assert len(call_facts.latency_parts(row(latency_ms=10.0))) == 1
    assert call_facts.latency_parts(row()) == ()


def test_links_to_traces_need_a_trace_and_a_place() -> None:
    trace = "4efaaf4d1e8720b39541901950019ee5"
    spelled = "1-4efaaf4d-1e8720b39541901950019ee5"
    both = trace_links.trace_links(trace, "eu-central-1", "datadoghq.eu")
    assert [one.href for one in both] == [
        f"https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1#xray:traces/{spelled}",
        f"https://app.datadoghq.eu/apm/trace/{trace}",
    ]
    assert trace_links.trace_links(trace, "javascript:alert(1)", "evil.example/x") == ()
    assert trace_links.trace_links('"><script>', "eu-central-1", "datadoghq.com") == ()
    assert trace_links.trace_links(trace, "cn-north-1", "")[0].href.startswith(
        "https://cn-north-1.console.amazonaws.cn/"
    )
    assert trace_links.trace_links(trace, "", "us5.datadoghq.com")[0].href.startswith("https://us5.datadoghq.com/apm/")
