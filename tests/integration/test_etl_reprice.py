"""`tollmeter etl reprice`: money follows the price book to the last decimal, and nothing else moves."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import pytest
from recorded import body_of, recorded_rows
from repricing_lake import (
    FIRST,
    LIST,
    OVERLAY,
    SECOND,
    USD,
    call,
    costs,
    doubled,
    land,
    negotiated,
    request,
    run,
    same,
    snapshots,
    table,
)

from tollmeter.etl.lake import existing_tables
from tollmeter.instrumentation import active, instrument, llm_call
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.home import Home
from tollmeter.pricing.call import COST_COLUMNS


def test_a_price_that_holds_from_a_day_on_changes_calls_from_then_on(home: Home) -> None:
    land(home, [call(0), call(60), request(0), request(60)])
    before = snapshots(home)
    dry = run(home, negotiated(), dry_run=True)
    (change,) = dry.changes
    assert (change.day, change.provider, change.model, change.calls) == (SECOND, "openai", "gpt-4o", 1)
    assert (change.old_picousd, change.new_picousd) == (2_600_000_000, 1_020_000_000)
    assert change.document()["difference_usd"] == USD("-0.00158")
    assert (change.status_changes, dry.requests) == ({}, 1)
    assert snapshots(home) == before
    done = run(home, negotiated())
    assert (done.changes, done.requests) == (dry.changes, 1)
    assert done.equation == "rows before = rows after: 2 = 2; every column but money is as it was"
    assert costs(home) == costs(home, "requests") == {"r0": USD("0.0026"), "r60": USD("0.00102")}
    rolled = {row["event_date"]: row["cost_usd"] for row in table(home, "rollup_calls_hourly").to_pylist()}
    assert rolled == {FIRST: USD("0.0026"), SECOND: USD("0.00102")}
    (row,) = [row for row in table(home, "runs").to_pylist() if row["component"] == "reprice"]
    counts = {"calls": 1, "days": 1, "requests": 1, "requests_left": 0, "rows_before": 2, "rows_after": 2}
    assert json.loads(row["counts"]) == counts


def test_running_twice_changes_nothing(home: Home) -> None:
    land(home, [call(0), call(60), request(0), request(60)])
    run(home, negotiated())
    before = snapshots(home)
    again = run(home, negotiated())
    assert (again.calls, again.requests, again.requests_left) == (0, 0, 0)
    assert snapshots(home) == before
    assert not (home.state / "etl" / "reprice").exists()


def test_only_money_moves_and_the_old_price_stays_in_the_history(home: Home) -> None:
    tags, usage = {"a": "é"}, {"tags": {"a": "é"}, "server_tool_calls": {"web_search": 1}, "ttft_ms": 1.5}
    land(home, [call(60, **usage), call(61), call(0), request(60, tags=tags), request(61)])
    before = {name: (table(home, name), snapshots(home)[name][-1]) for name in ("llm_calls", "requests")}
    run(home, doubled())
    for name, money in (("llm_calls", COST_COLUMNS), ("requests", ("cost_usd",))):
        old, snapshot = before[name]
        new = table(home, name)
        assert same(new.drop_columns(money), old.drop_columns(money))
        assert new["cost_usd"] != old["cost_usd"]
        assert same(table(home, name, snapshot), old)
    assert len(snapshots(home)["llm_calls"]) == 1 + 2, "one snapshot a day"


def test_a_days_commit_is_one_snapshot_marked_with_the_run(home: Home) -> None:
    land(home, [call(0), request(0)])
    run(home, doubled())
    (event,) = [row for row in table(home, "runs").to_pylist() if row["component"] == "reprice"]
    for name in ("llm_calls", "requests"):
        newest = existing_tables(home)[name].current_snapshot()
        assert newest is not None
        assert newest.summary is not None
        properties = newest.summary.additional_properties
        assert properties["tollmeter.batch-id"] == f"{event['batch_id']}-{FIRST}"
        assert (properties["added-records"], properties["deleted-records"]) == ("1", "1")


def test_since_and_until(home: Home) -> None:
    land(home, [call(0), call(60)])
    assert [one.day for one in run(home, doubled(), dry_run=True).changes] == [FIRST, SECOND]
    assert [one.day for one in run(home, doubled(), since=SECOND, dry_run=True).changes] == [SECOND]
    assert [one.day for one in run(home, doubled(), until=SECOND).changes] == [FIRST]
    assert costs(home) == {"r0": USD("0.0052"), "r60": USD("0.0026")}


def test_what_has_nothing_to_be_priced_by_is_left_alone(home: Home) -> None:
    nothing = {name: None for name in COST_COLUMNS if name.endswith("_usd")} | {"price_ref": ""}
    left = [
        call(1, usage_source="missing", cost_status="unpriced", **nothing),
        call(2, cost_status="inconsistent", input_tokens=10, cache_read_tokens=20, **nothing),
        call(3, usage_source="missing", price_ref="bill", cost_usd=USD(7)),
    ]
    land(home, left)
    before = table(home, "llm_calls")
    assert run(home, doubled()).calls == 0
    assert same(table(home, "llm_calls"), before)


def test_states_are_kept_and_an_unpriced_call_gets_its_price(home: Home) -> None:
    nothing = {name: None for name in COST_COLUMNS if name.endswith("_usd")} | {"price_ref": ""}
    land(
        home,
        [
            call(1, usage_source="estimated", cost_status="estimated"),
            call(2, status="partial", cost_status="partial"),
            call(3, request_model="in-house", cost_status="unpriced", **nothing),
            call(4, cache_hit=True, input_tokens=0, cost_usd=USD(0), input_cost_usd=USD(0), output_cost_usd=USD(0),
                 cache_savings_usd=USD("0.0026")),
            call(5, service_tier="flex", cost_status="estimated"),
        ],
    )  # fmt: skip
    own = """
  - {name: house, provider: openai, model: in-house, valid_from: 2026-01-01, prices: {input_mtok: 3, output_mtok: 0}}
"""
    report = run(home, negotiated(OVERLAY.replace("2026-11-02", "2026-11-01") + own))
    found = {row["request_id"]: row for row in table(home, "llm_calls").to_pylist()}
    assert [(found[f"r{n}"]["cost_status"], found[f"r{n}"]["cost_usd"]) for n in range(1, 6)] == [
        ("estimated", USD("0.00102")),
        ("partial", USD("0.00102")),
        ("priced", USD("0.003")),
        ("priced", USD(0)),
        ("estimated", USD("0.00102")),
    ]
    assert found["r4"]["cache_savings_usd"] == USD("0.0026")
    changes = {one.model: one.status_changes for one in report.changes}
    assert changes == {"gpt-4o": {}, "in-house": {"unpriced→priced": 1}}
    house = next(one for one in report.changes if one.model == "in-house")
    assert (house.old_picousd, house.new_picousd) == (0, 3_000_000_000)


def test_a_request_is_summed_anew_only_where_it_was_the_sum_of_its_calls(home: Home) -> None:
    both, late = USD("0.0052"), {"request_id": "over-midnight"}
    land(
        home,
        [
            call(1, **late), call(61, **late), request(1, llm_calls=2, cost_usd=both, **late),
            call(2), request(2, cost_usd=USD(1)),
            call(3), call(4, request_id="r3"), request(3, cost_usd=USD("0.0026")),
            call(5, request_id=""), request(5, request_id="", cost_usd=USD("0.0026")),
            call(6), request(6, service="another"),
        ],
    )  # fmt: skip
    report = run(home, doubled())
    assert (report.calls, report.requests, report.requests_left) == (7, 1, 2)
    found = {row["event_id"]: row["cost_usd"] for row in table(home, "requests").to_pylist()}
    assert [found[request(n).event_id] for n in (1, 2, 3, 5, 6)] == [
        USD("0.0104"), USD(1), USD("0.0026"), USD("0.0026"), USD("0.0026"),
    ]  # fmt: skip


def test_a_request_of_the_day_before_the_first_follows_its_calls(home: Home) -> None:
    late = {"request_id": "over-midnight"}
    land(home, [call(60, **late), request(0, **late)])
    assert run(home, doubled(), since=SECOND).requests == 1
    assert costs(home, "requests") == {"over-midnight": USD("0.0052")}


@pytest.fixture
def tapped() -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    instrument(writer=writer, mode="lean", service="svc")
    yield writer
    active._default.clear()


def replay(row: dict[str, Any]) -> None:
    kept = {name: value for name, value in row["response_headers"].items() if name.lower() != "content-encoding"}
    answer = httpx2.Response(row["status"], headers=kept, content=body_of(row))
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: answer)) as client:
        client.post(row["url"], json=row["request_body"])


def say(provider: str, model: str, tokens: dict[str, Any], **facts: Any) -> None:
    with llm_call(provider=provider, model=model) as found:
        found.record_usage(**tokens)
        found.record_facts(**facts)


def spoken() -> None:
    """Calls that applications tell of: every rule that prices one."""
    tokens: dict[str, Any] = {"input_tokens": 1000, "output_tokens": 7, "cache_read_tokens": 600}
    say("openai", "gpt-4o", tokens, response_model="gpt-4o-2024-08-06", service_tier="priority")
    say("openai", "gpt-4o", tokens, service_tier="unheard-of")
    say("openai", "gpt-4o", tokens, cache_hit=True)
    say("openai", "gpt-4o", {"input_tokens": 1, "output_tokens": 1, "cache_read_tokens": 2})
    say("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", tokens, response_model="claude-sonnet-4-5")
    say("azure.ai.openai", "chat", tokens, response_model="gpt-4o", resource_id="chat", inference_region="eu")
    with contextlib.suppress(KeyboardInterrupt), llm_call(provider="openai", model="gpt-4o") as cut:
        cut.record_usage(**tokens)
        raise KeyboardInterrupt


def test_what_was_said_is_priced_again_to_the_byte(home: Home, tapped: MemoryWriter) -> None:
    spoken()
    round_trip(home, tapped.lines)


@pytest.mark.shared_data
def test_recorded_answers_are_priced_again_to_the_byte(home: Home, tapped: MemoryWriter, shared: Path) -> None:
    for row in recorded_rows(shared):
        if row["method"] == "POST":
            replay(row)
    assert round_trip(home, tapped.lines) > 600


def round_trip(home: Home, lines: list[bytes]) -> int:
    """Priced again by the book they were recorded with: no difference; by another and back: every column as it was."""
    land(home, lines)
    since = date(2026, 1, 1)
    before = table(home, "llm_calls")
    assert run(home, LIST, since=since, dry_run=True).changes == []
    there, back = run(home, doubled(), since=since), run(home, LIST, since=since)
    assert there.calls == back.calls > 0
    assert same(table(home, "llm_calls"), before)
    return back.calls
