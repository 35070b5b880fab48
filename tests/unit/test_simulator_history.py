from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from statistics import fmean, median

import zstandard

from tollmeter.cli.simulator import almanac, shapes
from tollmeter.cli.simulator.history import Plan, day_events, write_history
from tollmeter.model.events import Evaluation, Event, LlmCall, Request, decode
from tollmeter.model.home import Home

UNTIL = datetime(2026, 11, 23, 11, 30, tzinfo=UTC)
SMALL = Plan(rows=6000, seed=7, until=UNTIL)


@cache
def whole(plan: Plan) -> tuple[Event, ...]:
    return tuple(event for day in plan.days() for event in day_events(plan, day))


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
    start = almanac.incident_on(day, plan.seed)
    assert start is not None
    assert start == datetime(2026, 11, 4, 14, 10, tzinfo=UTC)
    calls = calls_of(plan, day)
    down = [c for c in calls if start <= c.timestamp < start + almanac.INCIDENT_LENGTH and c.provider == "openai"]
    errors = [c for c in down if c.status == "error"]
    assert len(errors) / len(down) > 0.75
    assert {c.http_status for c in errors} == {429, 500, 503, None}
    assert all(c.cost_usd is None and c.input_tokens is None for c in errors)
    fallbacks = [c for c in calls if c.fallback_from]
    assert len(fallbacks) > 100
    assert {c.provider for c in fallbacks} <= {"anthropic", "gcp.gemini"}
    others = [c for c in calls if c.timestamp < start]
    assert sum(c.status == "error" for c in others) / len(others) < 0.02


def test_the_spike_is_one_tenants_and_many_times_a_days_cost() -> None:
    plan, day = Plan(until=UNTIL), date(2026, 11, 17)
    assert almanac.spike_on(day, plan.seed) == datetime(2026, 11, 17, 9, tzinfo=UTC)
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
            assert sum(almanac.incident_on(day, seed) is not None for day in days) in (2, 3)
            assert sum(almanac.spike_on(day, seed) is not None for day in days) in (2, 3)
            assert not any(almanac.incident_on(day, seed) and almanac.spike_on(day, seed) for day in days)


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
    calls = [event for event in whole(SMALL) if isinstance(event, LlmCall)]
    assert {call.cost_status for call in calls} >= {"priced", "estimated", "unpriced"}
    assert {call.provider for call in calls} == {"openai", "anthropic", "gcp.gemini", "aws.bedrock"}
    assert {call.status for call in calls} == {"ok", "error", "partial"}
    own = [call for call in calls if call.response_model == "house-tuned-7b"]
    assert own
    told = {(call.cost_status, call.cost_usd) for call in own if not call.cache_hit}
    assert told == {("unpriced", None)}


def test_an_experiments_arm_answers_shorter_costs_less_and_scores_alike() -> None:
    arms: dict[str, list[LlmCall]] = {"A": [], "B": []}
    scores: dict[str, list[float]] = {"A": [], "B": []}
    users: dict[str, set[str]] = {"A": set(), "B": set()}
    for event in whole(SMALL):
        if isinstance(event, LlmCall | Evaluation) and event.experiment == "concise-answers":
            users[event.variant].add(event.user_id)
        if isinstance(event, LlmCall) and event.experiment == "concise-answers" and event.status == "ok":
            arms[event.variant].append(event)
        if isinstance(event, Evaluation) and event.experiment == "concise-answers" and event.name == "relevance":
            scores[event.variant].append(event.score)
    output = {name: fmean(call.output_tokens or 0 for call in calls) for name, calls in arms.items()}
    cost = {name: fmean(float(call.cost_usd or 0) for call in calls) for name, calls in arms.items()}
    assert 0.5 < output["B"] / output["A"] < 0.7
    assert 0.6 < cost["B"] / cost["A"] < 0.95
    assert abs(fmean(scores["A"]) - fmean(scores["B"])) < 0.05
    assert not users["A"] & users["B"]


def test_what_pages_tell_of_occurs() -> None:
    calls = [event for event in whole(SMALL) if isinstance(event, LlmCall)]
    requests = [event for event in whole(SMALL) if isinstance(event, Request)]
    assert sum(call.fees_usd or 0 for call in calls) == Decimal("0.01") * sum(
        sum(call.server_tool_calls.values()) for call in calls
    )
    assert sum(call.fees_usd or 0 for call in calls) > 0
    for column in (
        *("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens"),
        *("input_audio_tokens", "input_image_tokens", "cache_savings_usd", "ratelimit_remaining_tokens"),
        *("cache_hit", "fallback_from", "service_tier", "experiment"),
    ):
        assert any(getattr(call, column) for call in calls), column
    assert all(call.cost_usd == call.input_tokens == 0 for call in calls if call.cache_hit)
    assert {request.method for request in requests} == {"POST", "JOB"}
    assert any(request.status_code == 502 for request in requests)
    assert {"", "question.answered", "ticket.resolved"} <= {request.tags.get("event", "") for request in requests}
    assert {call.team for call in calls} > {""}
    assert all(not call.user_id and not call.tenant_id for call in calls if not call.team)


def test_a_session_is_one_users_and_its_prompts_grow() -> None:
    sessions: dict[str, list[LlmCall]] = {}
    for event in whole(SMALL):
        if isinstance(event, LlmCall) and event.feature == "chat" and event.attempt == 1:
            sessions.setdefault(event.session_id, []).append(event)
    assert all(len({call.user_id for call in calls}) == 1 for calls in sessions.values())
    assert max(len(calls) for calls in sessions.values()) >= 7
    first = fmean(calls[0].input_tokens or 0 for calls in sessions.values() if len(calls) > 3)
    fourth = fmean(calls[3].input_tokens or 0 for calls in sessions.values() if len(calls) > 3)
    assert fourth > first + 1000


def test_a_limit_that_is_too_tight_is_seen_in_the_headers_and_in_429s() -> None:
    plan, day = Plan(until=UNTIL), date(2026, 11, 19)
    start = almanac.squeeze_on(day, plan.seed)
    assert start is not None
    assert start == datetime(2026, 11, 19, 15, tzinfo=UTC)
    inside = [c for c in calls_of(plan, day) if start <= c.timestamp < start + almanac.SQUEEZE_LENGTH]
    squeezed = [c for c in inside if c.provider == almanac.SQUEEZED_PROVIDER]
    assert any(c.http_status == 429 for c in squeezed)
    left = [c.ratelimit_remaining_tokens for c in squeezed if c.status == "ok"]
    assert 0 < min(tokens or 0 for tokens in left) < 40_000
    assert not any(c.ratelimit_limit_requests for c in inside if c.provider == "gcp.gemini")
