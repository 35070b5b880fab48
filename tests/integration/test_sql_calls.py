"""The queries behind tables of calls and sessions, variants, and the health of the data: their figures are right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hand_lake import append, call, land, request, roll_up

from tollmeter.model.events import Evaluation, LlmCall, Run
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.sql.engine import Engine, open_engine

DAY = datetime(2026, 11, 1, tzinfo=UTC)
SPAN: dict[str, Any] = {"since": "2026-11-01", "until": "2026-11-04"}
HOSTILE = "<b>x</b>,'\"%_\x1e"
SEP = "\x1f"


def listed(*values: str) -> str:
    return SEP + "".join(value + SEP for value in values)


def made() -> list[LlmCall]:
    """Six calls over three days: two tenants and none, a session of two tenants, an experiment, one hostile model."""
    usd = Decimal
    ab = {"experiment": "rerank", "prompt_name": "answer"}
    return [
        call(
            DAY,
            response_model="a",
            tenant_id="acme",
            session_id="s1",
            user_id="Ann",
            request_id="r1",
            trace_id="0" * 31 + "a",
            latency_ms=100.0,
            ttft_ms=10.0,
            input_tokens=10,
            output_tokens=1,
            cost_usd=usd("0.1"),
            variant="x",
            **ab,
        ),
        call(
            DAY + timedelta(hours=1),
            response_model="a",
            tenant_id="acme",
            session_id="s1",
            user_id="Ann",
            request_id="r1",
            latency_ms=300.0,
            input_tokens=30,
            output_tokens=3,
            cost_usd=usd("0.000000000001"),
            variant="x",
            **ab,
        ),
        call(
            DAY + timedelta(hours=2),
            response_model="b",
            tenant_id="zeta",
            session_id="s1",
            user_id="Zoe",
            latency_ms=200.0,
            cost_usd=usd("5"),
            variant="y",
            stream=True,
            **ab,
        ),
        call(
            DAY + timedelta(days=1),
            response_model=HOSTILE,
            tenant_id="acme",
            session_id="s2",
            user_id="Ann",
            status="error",
            error_type="RateLimitError",
            http_status=429,
            latency_ms=50.0,
            attempt=2,
            variant="y",
            **ab,
        ),
        call(DAY + timedelta(days=1, hours=1), response_model="b", user_id="Bob", cost_usd=usd("1"), latency_ms=400.0),
        call(DAY + timedelta(days=2), request_model="b", tenant_id="acme", session_id="s2", latency_ms=60.0),
    ]


CALLS = made()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    home = Home(tmp_path_factory.mktemp("lake") / "home")
    land(home, CALLS)
    land(home, [request(DAY, request_id="r1", session_id="s1", tenant_id="acme", duration_ms=450.0)])
    land(
        home,
        [
            Evaluation(
                event_id=new_event_id(),
                timestamp=DAY + timedelta(days=9),
                service="chat",
                tenant_id="acme",
                call_id=CALLS[0].event_id,
                name="relevance",
                score=score,
            )
            for score in (0.5, 1.0)
        ],
    )
    land(
        home,
        [
            Run(
                event_id=new_event_id(),
                timestamp=DAY + timedelta(seconds=10 * index),
                service="tollmeter",
                component="forward",
                sink="xray",
                lag_ms=float(index),
                counts={"acknowledged": 5, "dropped": 1, "dropped_late": 1},
            )
            for index in range(30)
        ],
    )
    append(
        home,
        "quarantine",
        [
            {
                "object_key": f"o{index}",
                "line_number": 1,
                "sha256": "",
                "reason": "not_json",
                "detail": "",
                "raw_text": "é" * 3000,
                "event_date": DAY.date(),
                "ingested_at": DAY.replace(tzinfo=None) + timedelta(seconds=index),
                "batch_id": "b",
            }
            for index in range(5)
        ],
    )
    roll_up(home)
    with open_engine("duckdb", home) as opened:
        yield opened


def page(engine: Engine, **asked: Any) -> list[int]:
    """Which calls come back, by their place in `CALLS`."""
    ids = [one.event_id for one in CALLS]
    return [ids.index(row["event_id"]) for row in engine.query("calls_page", **SPAN | asked).to_pylist()]


def test_the_table_is_sorted_and_paged_with_the_unknown_last(engine: Engine) -> None:
    assert page(engine) == [5, 4, 3, 2, 1, 0]
    assert page(engine, direction="asc") == [0, 1, 2, 3, 4, 5]
    assert page(engine, sort="cost") == [2, 4, 0, 1, 5, 3]
    assert page(engine, sort="cost", direction="asc") == [1, 0, 4, 2, 3, 5]
    assert page(engine, sort="latency", limit=2) == [4, 1]
    assert page(engine, sort="latency", limit=2, offset=2) == [2, 0]
    assert page(engine, until="2026-11-02") == [2, 1, 0]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"model": listed("a")}, [1, 0]),
        ({"model": listed("b", HOSTILE)}, [5, 4, 3, 2]),
        ({"model": listed(HOSTILE)}, [3]),
        ({"model": listed("")}, []),
        ({"tenant": listed("")}, [4]),
        ({"tenant": listed("acme", "")}, [5, 4, 3, 1, 0]),
        ({"tenant": listed("acm")}, []),
        ({"stream": listed("true")}, [2]),
        ({"status": listed("error"), "error_type": listed("RateLimitError")}, [3]),
        ({"experiment": listed("rerank"), "variant": listed("y")}, [3, 2]),
        ({"user": listed("Ann"), "session": listed("s1")}, [1, 0]),
        ({"search": "r1"}, [1, 0]),
        ({"search": "0" * 31 + "a"}, [0]),
        ({"search": "ratelimit"}, [3]),
        ({"search": "ann"}, [3, 1, 0]),
        ({"search": "S2"}, [5, 3]),
        ({"search": "%"}, [3]),
        ({"search": "' OR 1=1 --"}, []),
        ({"min_cost": "1"}, [4, 2]),
        ({"min_cost": "0.000000000002"}, [4, 2, 0]),
        ({"min_latency": "200"}, [4, 2, 1]),
    ],
)
def test_filters_and_search(engine: Engine, asked: dict[str, str], found: list[int]) -> None:
    assert page(engine, **asked) == found
    (counted,) = engine.query("calls_counted", **SPAN | asked).to_pylist()
    costs = [CALLS[index].cost_usd for index in found]
    assert counted["calls"] == len(found)
    assert counted["unpriced_calls"] == costs.count(None)
    known = [cost for cost in costs if cost is not None]
    assert counted["cost_usd"] == (sum(known) if known else None)


def test_one_call_with_its_request_and_scores(engine: Engine) -> None:
    days = {"since": DAY.date(), "until": DAY.date()}
    (row,) = engine.query("call_by_id", call=CALLS[0].event_id, **days).to_pylist()
    assert (row["tenant_id"], row["cost_usd"], row["timestamp"]) == ("acme", Decimal("0.1"), DAY.replace(tzinfo=None))
    assert engine.query("call_by_id", call=CALLS[5].event_id, **days).num_rows == 0
    (served,) = engine.query("request_of_call", request="r1", service="chat", **days).to_pylist()
    assert served["duration_ms"] == 450.0
    found = engine.query("calls_of_request", request="r1", service="chat", **days).to_pylist()
    assert [one["event_id"] for one in found] == [CALLS[0].event_id, CALLS[1].event_id]
    later = {"since": DAY.date(), "until": date(2026, 11, 30)}
    scores = engine.query("evaluations_of_calls", calls=listed(CALLS[0].event_id), **later).to_pylist()
    assert [one["score"] for one in scores] == [0.5, 1.0]


def test_sessions_are_told_apart_by_tenant(engine: Engine) -> None:
    def found(**asked: Any) -> list[tuple[str, str]]:
        rows = engine.query("sessions_page", **SPAN | asked).to_pylist()
        return [(row["session_id"], row["tenant_id"]) for row in rows]

    assert found() == [("s1", "zeta"), ("s1", "acme"), ("s2", "acme")]
    assert found(sort="duration") == [("s2", "acme"), ("s1", "acme"), ("s1", "zeta")]
    assert found(sort="last", limit=1, offset=1) == [("s1", "zeta")]
    assert found(user=listed("Ann")) == [("s1", "acme"), ("s2", "acme")]
    assert found(search="ZO") == [("s1", "zeta")]
    (row,) = engine.query("sessions_page", **SPAN, session=listed("s1"), tenant=listed("acme")).to_pylist()
    assert row["cost_usd"] == Decimal("0.100000000001")
    assert (row["calls"], row["requests"], row["input_tokens"], row["duration_s"]) == (2, 1, 40, 3600.0)
    (all_,) = engine.query("sessions_counted", **SPAN).to_pylist()
    assert (all_["sessions"], all_["calls"], all_["errors"], all_["cost_usd"]) == (3, 5, 1, Decimal("5.100000000001"))
    days = {"session": "s1", "tenant": "acme", "since": DAY.date(), "until": DAY.date()}
    assert [row["event_id"] for row in engine.query("calls_of_session", **days).to_pylist()] == [
        one.event_id for one in CALLS[:2]
    ]
    assert engine.query("requests_of_session", **days).num_rows == 1


def test_variants_sum_what_intervals_need(engine: Engine) -> None:
    asked = SPAN | {"by": "experiment", "subject": "rerank"}
    rows = {(row["variant"], row["measure"]): row for row in engine.query("variants_compared", **asked).to_pylist()}
    latency = rows["x", "latency_ms"]
    assert (latency["clusters"], latency["calls"], latency["total"]) == (1, 2, 400.0)
    assert (latency["square_totals"], latency["products"], latency["square_calls"]) == (160_000.0, 800.0, 4.0)
    assert rows["y", "error"]["total"] == 1.0
    assert rows["y", "cost_usd"]["calls"] == 1
    assert (rows["x", "score relevance"]["calls"], rows["x", "score relevance"]["total"]) == (2, 1.5)
    x, y = engine.query("variants_totals", **asked).to_pylist()
    assert (x["variant"], x["calls"], x["cost_usd"], x["users"], x["shared_users"]) == (
        "x",
        2,
        Decimal("0.100000000001"),
        1,
        1,
    )
    assert (y["errors"], y["unpriced_calls"], y["users"], y["shared_users"], y["sessions"]) == (1, 1, 2, 1, 2)
    versions = engine.query("variants_totals", **SPAN, by="prompt", subject="answer").to_pylist()
    assert [(row["variant"], row["calls"]) for row in versions] == [("", 4)]
    assert engine.query("experiments_seen", **SPAN).to_pylist() == [
        {"subject": "rerank", "variants": 2, "calls": 4, "cost_usd": Decimal("5.100000000001")}
    ]
    assert engine.query("prompts_seen", **SPAN)["subject"].to_pylist() == ["answer"]


def test_the_health_of_the_data(engine: Engine) -> None:
    (service,) = engine.query("services_seen", **SPAN).to_pylist()
    assert (service["service"], service["calls"], service["unpriced_calls"]) == ("chat", 6, 2)
    assert service["last_at"] == CALLS[5].timestamp.replace(tzinfo=None)
    totals = {(row["metric"], row["sink"]): row for row in engine.query("pipeline_totals", **SPAN).to_pylist()}
    assert totals["tollmeter.dropped_late", "xray"]["total"] == 30
    assert totals["tollmeter.sent", "xray"]["total"] == 150
    assert totals["tollmeter.lag_ms", "xray"]["largest"] == 29
    runs = engine.query("runs_recent", **SPAN, each=2).to_pylist()
    assert [row["lag_ms"] for row in runs] == [29.0, 28.0]
    assert json.loads(runs[0]["counts"])["acknowledged"] == 5
    lines = engine.query("quarantine_examples", **SPAN, length=10).to_pylist()
    assert [(row["object_key"], row["raw_text"], row["characters"]) for row in lines] == [
        (f"o{index}", "é" * 10, 3000) for index in (4, 3, 2)
    ]
