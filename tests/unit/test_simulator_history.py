from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from statistics import median

import zstandard

from tollmeter.cli.simulator import shapes, world
from tollmeter.cli.simulator.history import Plan, day_events, write_history
from tollmeter.model.events import Event, LlmCall, Request, decode
from tollmeter.model.home import Home

UNTIL = datetime(2026, 11, 23, 11, 30, tzinfo=UTC)
SMALL = Plan(rows=6000, seed=7, until=UNTIL)


def calls_of(plan: Plan, day: date) -> list[LlmCall]:
    return [event for event in day_events(plan, day) if isinstance(event, LlmCall)]


def lines_below(home: Home) -> list[Event]:
    decompressor = zstandard.ZstdDecompressor()
    objects = sorted(home.raw.rglob("*.jsonl.zst"))
    return [decode(line) for path in objects for line in decompressor.decompress(path.read_bytes()).splitlines()]


def test_history_has_about_the_rows_asked_for_and_nothing_later_than_the_last_full_hour(home: Home) -> None:
    written = write_history(home, SMALL)
    events = lines_below(home)
    calls = [event for event in events if isinstance(event, LlmCall)]
    assert 5700 < len(calls) < 6900
    assert len({event.event_id for event in events}) == len(events) == written.events.total()
    assert max(event.timestamp for event in events) < SMALL.end
    assert min(event.timestamp for event in events) >= datetime(2026, 9, 24, tzinfo=UTC)
    assert all(event.tags["tollmeter.simulated"] == "all" for event in events)  # type: ignore[union-attr]
    assert sum((call.cost_usd or Decimal(0) for call in calls), Decimal(0)) == written.cost_usd > 0


def test_writing_again_makes_nothing_and_another_home_gets_the_same_bytes(home: Home, tmp_path: Path) -> None:
    write_history(home, SMALL)
    again = write_history(home, SMALL)
    assert (again.objects, again.existing, again.events.total()) == (0, 71, 0)
    other = Home(tmp_path / "other")
    write_history(other, SMALL)
    files = sorted(path.relative_to(home.raw) for path in home.raw.rglob("*.zst"))
    assert all((home.raw / path).read_bytes() == (other.raw / path).read_bytes() for path in files)
    assert len(files) == 71


def test_a_history_made_tomorrow_agrees_on_the_days_they_share() -> None:
    tomorrow = Plan(rows=6000, seed=7, until=UNTIL + timedelta(days=1))
    day = date(2026, 11, 4)
    assert day_events(SMALL, day) == day_events(tomorrow, day)
    assert day_events(SMALL, day) != day_events(Plan(rows=6000, seed=8, until=UNTIL), day)


def test_the_incident_breaks_one_provider_for_forty_minutes_and_others_step_in() -> None:
    plan, day = Plan(until=UNTIL), date(2026, 11, 4)
    start = world.incident_on(day, plan.seed)
    assert start is not None
    assert start == datetime(2026, 11, 4, 14, 10, tzinfo=UTC)
    calls = calls_of(plan, day)
    down = [c for c in calls if start <= c.timestamp < start + world.INCIDENT_LENGTH and c.provider == "openai"]
    errors = [c for c in down if c.status == "error"]
    assert len(errors) / len(down) > 0.75
    assert {c.http_status for c in errors} == {429, 500, 503}
    assert all(c.cost_usd is None and c.input_tokens is None for c in errors)
    fallbacks = [c for c in calls if c.fallback_from]
    assert len(fallbacks) > 100
    assert {c.provider for c in fallbacks} <= {"anthropic", "gcp.gemini"}
    others = [c for c in calls if c.timestamp < start]
    assert sum(c.status == "error" for c in others) / len(others) < 0.02


def test_the_spike_is_one_tenants_and_many_times_a_days_cost() -> None:
    plan, day = Plan(until=UNTIL), date(2026, 11, 17)
    assert world.spike_on(day, plan.seed) == datetime(2026, 11, 17, 9, tzinfo=UTC)
    cost = Counter[str]()
    for call in calls_of(plan, day):
        cost[call.tenant_id] += float(call.cost_usd or 0)  # type: ignore[assignment]
    usual = sum(float(call.cost_usd or 0) for call in calls_of(plan, date(2026, 11, 18)))
    assert cost["globex"] > 10 * usual
    assert sum(cost.values()) - cost["globex"] < 2 * usual


def test_each_stretch_of_sixty_days_holds_incident_and_spike_for_any_seed() -> None:
    for seed in range(8):
        for first in range(0, 60, 7):
            days = [date(2026, 1, 1) + timedelta(days=first + n) for n in range(60)]
            assert sum(world.incident_on(day, seed) is not None for day in days) in (2, 3)
            assert sum(world.spike_on(day, seed) is not None for day in days) in (2, 3)
            assert not any(world.incident_on(day, seed) and world.spike_on(day, seed) for day in days)


def test_requests_sum_their_calls() -> None:
    events = day_events(SMALL, date(2026, 11, 4))
    calls = [event for event in events if isinstance(event, LlmCall)]
    for request in (event for event in events if isinstance(event, Request)):
        own = [call for call in calls if call.request_id == request.request_id]
        assert request.llm_calls == len(own) > 0
        assert request.input_tokens == sum(call.input_tokens or 0 for call in own)
        assert (request.cost_usd or 0) == sum(call.cost_usd or 0 for call in own)
        assert request.duration_ms >= max(call.latency_ms or 0.0 for call in own)
        assert {call.trace_id for call in own} == {request.trace_id}


def test_tokens_keep_the_quantiles_of_the_traces() -> None:
    rng = Random(1)
    drawn = [shapes.CONVERSATION_IN.draw(rng) for _ in range(20_000)]
    assert 980 < median(drawn) < 1060
    assert 2 <= min(drawn) <= max(drawn) <= 14_050
    assert 0.88 < sum(value <= 2735 for value in drawn) / len(drawn) < 0.92


def test_every_state_of_cost_and_three_providers_occur() -> None:
    calls = [call for day in SMALL.days() for call in calls_of(SMALL, day)]
    assert {call.cost_status for call in calls} >= {"priced", "estimated", "unpriced"}
    assert {call.provider for call in calls} == {"openai", "anthropic", "gcp.gemini", "aws.bedrock"}
    assert {call.status for call in calls} == {"ok", "error", "partial"}
    own = [call for call in calls if call.response_model == "house-tuned-7b"]
    assert own
    assert {(call.cost_status, call.cost_usd) for call in own} == {("unpriced", None)}
