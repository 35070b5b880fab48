"""Users, sessions, tools, business events, fallbacks and steps of latency are those of the rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hand_lake import call, land, request, roll_up

from tollmeter.dashboards.access.viewer import Viewer
from tollmeter.dashboards.lake import Lake
from tollmeter.dashboards.queries import failing, unit_costs
from tollmeter.dashboards.queries.cube import Ask
from tollmeter.dashboards.queries.steps import STEP_BUCKETS, steps
from tollmeter.dashboards.selection import Filters
from tollmeter.dashboards.window import Window
from tollmeter.model.derived import METRIC_DURATION, METRIC_LATENCY, METRIC_TTFT, bucket_of
from tollmeter.model.events import LlmCall, Request
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

START = datetime(2026, 11, 1, tzinfo=UTC)
ZONE = "America/New_York"
EVENTS = ("question.answered", 'it is "odd"', "<b>x</b>", "")
EVERYONE = Viewer("ada", None)
Seen = tuple[Lake, list[LlmCall], list[Request]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    home, chance = Home(tmp_path_factory.mktemp("lake") / "home"), Random(3)
    calls, requests = [], []
    for number in range(600):
        moment = START + timedelta(seconds=chance.uniform(0, 4 * 86_400))
        who = {"tenant_id": chance.choice(["x", "y", ""]), "user_id": chance.choice(["", "u1", "u2", "u3"]),
               "session_id": chance.choice(["", f"s{number // 5}"]), "team": chance.choice(["", "t"]),
               "request_id": f"r{number}"}  # fmt: skip
        calls.append(_call(chance, moment, who))
        tags = {"event": chance.choice(EVENTS)} if number % 3 else {}
        requests.append(request(moment, duration_ms=chance.lognormvariate(6, 1), tags=tags, **who))
    land(home, [*calls, *requests])
    roll_up(home, ZONE)
    lake = Lake(home, Settings.load({}))
    yield lake, calls, requests
    lake.close()


def _call(chance: Random, moment: datetime, who: dict[str, str]) -> LlmCall:
    searches = chance.choice([0, 0, 3])
    return call(
        moment, **who, provider="anthropic", request_model="asked", response_model=chance.choice(["m1", "m2", ""]),
        status=chance.choice(["ok", "error"]), fallback_from=chance.choice(["", "", "first", "second"]),
        server_tool_calls={"web_search": searches} if searches else {}, latency_ms=chance.lognormvariate(6, 1),
        fees_usd=Decimal("0.01") * searches or None, cost_usd=chance.choice([None, Decimal(number_of(chance))]),
        ttft_ms=chance.choice([None, chance.lognormvariate(5, 1)]),
    )  # fmt: skip


def number_of(chance: Random) -> str:
    return f"0.{chance.randrange(10**12):012d}"


def span(hours: tuple[float, float], bucket: str = "day") -> Window:
    first, last = (START.replace(tzinfo=None) + timedelta(hours=each) for each in hours)
    return Window(first, last, bucket, last, ZONE)  # type: ignore[arg-type]


def inside(window: Window, moment: datetime) -> bool:
    return window.start <= moment.replace(tzinfo=None) < window.end


# Days of New York begin at 5 UTC: whole days, parts of days, minutes.
SPANS = [(5, 77), (0, 96), (7.25, 60.5), (30, 31)]


@pytest.mark.parametrize("hours", SPANS)
@pytest.mark.parametrize("filters", [(), (("tenant", ("x", "")),), (("user", ("u1",)),), (("team", ("",)),)])
def test_users_and_sessions_are_counted_once_however_many_days_they_call_on(
    seen: Seen, hours: tuple[float, float], filters: Filters
) -> None:
    lake, calls, _ = seen
    window, column = span(hours), {"tenant": "tenant_id", "user": "user_id", "team": "team"}
    found = [
        one for one in calls
        if inside(window, one.timestamp) and all(getattr(one, column[name]) in values for name, values in filters)
    ]  # fmt: skip
    units = unit_costs.unit_counts(lake, Ask(window, EVERYONE, filters=filters))
    assert units.users == len({one.user_id for one in found if one.user_id})
    assert units.sessions == len({one.session_id for one in found if one.session_id})
    assert units.users_cost == _sum([one for one in found if one.user_id])
    assert units.sessions_cost == _sum([one for one in found if one.session_id])


def _sum(calls: list[LlmCall]) -> Decimal | None:
    costs = [one.cost_usd for one in calls if one.cost_usd is not None]
    return sum(costs, Decimal(0)) if costs else None


def test_tools_and_fallbacks_are_those_of_the_rows(seen: Seen) -> None:
    lake, calls, _ = seen
    ask = Ask(span((5, 77)), EVERYONE, filters=(("team", ("t",)),))
    found = [one for one in calls if inside(ask.window, one.timestamp) and one.team == "t"]
    searches, fees, pairs = Counter[str](), defaultdict[str, Decimal](Decimal), Counter[tuple[str, str]]()
    for one in found:
        model = one.response_model or one.request_model
        searches[model] += one.server_tool_calls.get("web_search", 0)
        fees[model] += one.fees_usd or 0
        if one.fallback_from:
            pairs[one.fallback_from, model] += 1
    tools = unit_costs.tools_used(lake, ask)
    assert {tool.model: tool.web_searches for tool in tools} == {name: n for name, n in searches.items() if n}
    assert {tool.model: tool.fees for tool in tools} == {name: fee for name, fee in fees.items() if fee}
    assert {(one.origin, one.model): one.calls for one in failing.fallbacks(lake, ask)} == pairs


def test_a_business_event_costs_what_the_calls_of_its_requests_cost(
    seen: Seen,
) -> None:
    lake, calls, requests = seen
    ask = Ask(span((5, 77)), EVERYONE)
    made = {one.request_id: one for one in calls}
    expected: dict[str, list[LlmCall]] = defaultdict(list)
    for one in requests:
        if inside(ask.window, one.timestamp) and "event" in one.tags:
            expected[one.tags["event"]].append(made[one.request_id])
    events = {event.name: event for event in unit_costs.business_events(lake, ask, "event")}
    # The pattern ends at a quote, so that such a value is cut there.
    assert events["it is"].requests == len(expected['it is "odd"'])
    plain = [name for name in EVENTS if '"' not in name]
    assert {name: (events[name].requests, events[name].cost) for name in plain} == {
        name: (len(expected[name]), _sum(expected[name])) for name in plain
    }
    assert unit_costs.business_events(lake, ask, "vent") == ()


@pytest.mark.parametrize("metric", [METRIC_LATENCY, METRIC_TTFT, METRIC_DURATION])
@pytest.mark.parametrize("hours", SPANS)
def test_every_value_is_counted_in_its_step_and_bucket(seen: Seen, metric: str, hours: tuple[float, float]) -> None:
    lake, calls, requests = seen
    window = span(hours)
    expected: Counter[tuple[datetime, int]] = Counter()
    for one in (*calls, *requests):
        values = {METRIC_DURATION: getattr(one, "duration_ms", None), METRIC_LATENCY: getattr(one, "latency_ms", None),
                  METRIC_TTFT: getattr(one, "ttft_ms", None)}  # fmt: skip
        value = values[metric]
        if value is not None and inside(window, one.timestamp):
            place = window.place(one.timestamp.replace(tzinfo=None))
            expected[place, (bucket_of(value) - 1) // STEP_BUCKETS] += 1
    found = steps(lake, Ask(window, EVERYONE), metric)
    assert {(step.bucket, step.step): step.count for step in found} == expected


def test_a_viewer_of_one_tenant_sees_that_tenants_alone(seen: Seen) -> None:
    lake, calls, _ = seen
    ask = Ask(span((0, 96)), Viewer("ada", ("x",)))
    own = [one for one in calls if one.tenant_id == "x" and inside(ask.window, one.timestamp)]
    assert unit_costs.unit_counts(lake, ask).users_cost == _sum([one for one in own if one.user_id])
    assert sum(step.count for step in steps(lake, ask)) == len(own)
    assert sum(one.calls for one in failing.fallbacks(lake, ask)) == sum(bool(one.fallback_from) for one in own)
    nothing = replace(ask, viewer=Viewer("eve", ()))
    assert unit_costs.unit_counts(lake, nothing).users == 0
    assert steps(lake, nothing) == ()
