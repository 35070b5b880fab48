"""Calls, sessions and health as the pages read them from a real lake, for one who sees all and one who sees some."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hand_lake import call, land, request, roll_up

from tollmeter.dashboards.access import LOCAL, Viewer
from tollmeter.dashboards.lake import Lake
from tollmeter.dashboards.prepare import health_states
from tollmeter.dashboards.queries import calls, files, health, sessions, variants
from tollmeter.dashboards.queries.event_days import days_of_id
from tollmeter.model.events import Evaluation, LlmCall
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id, new_event_id

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
SINCE, UNTIL = datetime(2026, 11, 1), datetime(2026, 12, 1)
ACME = Viewer("ada", ("acme",))


def event(index: int) -> LlmCall:
    """One of 300 calls over 25 days: two tenants, sessions of three calls, two variants."""
    tenant = ("acme", "globex")[index // 3 % 2]
    return call(
        BEGAN + timedelta(hours=2 * index),
        response_model=f"m{index % 4}",
        tenant_id=tenant,
        user_id=f"u{index % 7}",
        session_id=f"s{index // 3}",
        request_id=f"r{index // 3}",
        cost_usd=Decimal(index).scaleb(-6),
        cost_status="priced",
        experiment="e",
        variant="AB"[index % 2],
        input_tokens=100 + index,
        output_tokens=1,
        latency_ms=float(index),
    )


EVENTS = [event(index) for index in range(300)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    home = Home(tmp_path_factory.mktemp("lake") / "home")
    land(home, EVENTS)
    land(
        home,
        [
            request(one.timestamp, request_id=one.request_id, session_id=one.session_id, tenant_id=one.tenant_id)
            for one in EVENTS[::3]
        ],
    )
    land(
        home,
        [
            Evaluation(
                event_id=new_event_id(),
                timestamp=EVENTS[7].timestamp + timedelta(days=3),
                service="chat",
                tenant_id=EVENTS[7].tenant_id,
                call_id=EVENTS[7].event_id,
                name="good",
                score=1.0,
            )
        ],
    )
    roll_up(home)
    found = Lake(home)
    yield found
    found.close()


def asked(viewer: Viewer = LOCAL, **search: Any) -> calls.Asked:
    return calls.Asked(SINCE, UNTIL, (), replace(calls.Search(), **search), viewer)


def test_pages_of_the_table_make_up_the_whole_in_every_order(lake: Lake) -> None:
    newest = [one.event_id for one in reversed(EVENTS)]
    pages = [calls.page(lake, asked(), offset, 70) for offset in range(0, 350, 70)]
    assert [row.event_id for page in pages for row in page] == newest
    oldest = calls.page(lake, asked(direction="asc"), 0, 5)
    assert [row.event_id for row in oldest] == newest[::-1][:5]
    dearest = calls.page(lake, asked(sort="cost"), 0, 3)
    assert [row.cost_usd for row in dearest] == [Decimal(index).scaleb(-6) for index in (299, 298, 297)]
    counted = calls.counted(lake, asked())
    assert (counted.calls, counted.cost_usd) == (300, sum(one.cost_usd or 0 for one in EVENTS))


def test_who_sees_one_tenant_finds_no_call_of_another(lake: Lake) -> None:
    mine = [one for one in EVENTS if one.tenant_id == "acme"]
    assert len(calls.page(lake, asked(ACME), 0, 500)) == len(mine) == calls.counted(lake, asked(ACME)).calls
    other = next(one for one in EVENTS if one.tenant_id == "globex")
    days = (date(2026, 11, 1), date(2026, 11, 30))
    assert calls.whole(lake, LOCAL, other.event_id, None, days) is not None
    assert calls.whole(lake, ACME, other.event_id, other.timestamp.date(), days) is None
    assert sessions.whole(lake, ACME, other.session_id, "globex", hint=None, otherwise=days) is None
    assert sessions.counted(lake, sessions.SessionsAsked(days, (), "", ACME)).calls == len(mine)
    assert sum(
        one.totals.calls
        for one in variants.variants(lake, ACME, "experiment", "e", since=SINCE, until=UNTIL, filters=())
    ) == len(mine)


def test_a_call_is_found_by_the_day_of_its_link_and_else_in_the_days_of_the_page(lake: Lake) -> None:
    one = EVENTS[7]
    elsewhere = (date(2020, 1, 1), date(2020, 1, 2))
    found = calls.whole(lake, LOCAL, one.event_id, one.timestamp.date(), elsewhere)
    assert found is not None
    assert found.row["cost_usd"] == one.cost_usd
    assert [step.event_id for step in found.siblings] == [each.event_id for each in EVENTS[6:9]]
    assert found.request is not None
    assert [score.score for score in found.scores] == [1.0]
    # Made by hand, its id tells today's date: neither that nor the page's days hold it.
    assert calls.whole(lake, LOCAL, one.event_id, None, elsewhere) is None
    assert calls.whole(lake, LOCAL, one.event_id, None, (date(2026, 11, 1), date(2026, 11, 30))) is not None
    assert calls.whole(lake, LOCAL, "'; drop table x", None, elsewhere) is None


def test_an_id_of_our_own_tells_its_day_and_an_imported_one_none() -> None:
    today = datetime.now(UTC).date()
    days = days_of_id(new_event_id())
    assert days is not None
    assert days[0] <= today <= days[1]
    assert days_of_id(imported_event_id("x", "1")) is None


def test_a_session_has_its_calls_in_order_and_sums_that_agree(lake: Lake) -> None:
    days = (date(2026, 11, 1), date(2026, 11, 30))
    found = sessions.whole(lake, LOCAL, "s9", "", hint=None, otherwise=days)
    assert found is not None
    assert [one.event_id for one in found.calls] == [one.event_id for one in EVENTS[27:30]]
    assert found.known.cost_usd == sum(one.cost_usd or 0 for one in EVENTS[27:30])
    assert len(found.requests) == 1
    everything = sessions.page(lake, sessions.SessionsAsked(days, (), "", LOCAL), "cost", "desc", offset=0, limit=500)
    assert len(everything) == 100
    assert sum(one.cost_usd or 0 for one in everything) == sum(one.cost_usd or 0 for one in EVENTS)


def test_variants_add_up_to_their_calls(lake: Lake) -> None:
    found = variants.variants(lake, LOCAL, "experiment", "e", since=SINCE, until=UNTIL, filters=())
    assert [(one.totals.variant, one.totals.calls) for one in found] == [("A", 150), ("B", 150)]
    for one in found:
        mine = [each for each in EVENTS if each.variant == one.totals.variant]
        assert one.totals.cost_usd == sum(each.cost_usd or 0 for each in mine)
        assert one.samples["latency_ms"].mean == pytest.approx(sum(each.latency_ms or 0 for each in mine) / len(mine))
    assert [one.subject for one in variants.experiments(lake, LOCAL, SINCE, UNTIL)] == ["e"]
    assert variants.prompts(lake, LOCAL, (date(2026, 11, 1), date(2026, 11, 30))) == []


def test_health_knows_the_files_of_the_lake(lake: Lake) -> None:
    stored = {one.table: one for one in files.table_files(lake.home)}
    assert (stored["llm_calls"].rows, stored["llm_calls"].days) == (300, 25)
    assert stored["llm_calls"].files == 25
    found = health.health(lake, LOCAL, SINCE, UNTIL, tuple(stored.values()))
    assert [(one.service, one.calls) for one in found.services] == [("chat", 300)]
    lights = {one.key: one.light for one in health_states.states(found, datetime(2026, 11, 26))}
    assert (lights["quarantine"], lights["unpriced"], lights["files"], lights["etl"]) == (
        "green",
        "green",
        "green",
        "none",
    )
