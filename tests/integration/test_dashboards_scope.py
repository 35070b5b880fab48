"""Whose rows a viewer gets from the lake, what is kept of answers, and how a question is ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tollmeter.dashboards import lake as lake_module
from tollmeter.dashboards.access import LOCAL, Viewer
from tollmeter.dashboards.answers import Answers
from tollmeter.dashboards.health import Health
from tollmeter.dashboards.lake import Lake
from tollmeter.model.errors import CancelledError, QueryError, TransientError
from tollmeter.model.home import Home, LakePlace
from tollmeter.model.settings import Settings
from tollmeter.sql.cancelling import Cancel
from tollmeter.sql.duckdb_engine import DuckDBEngine
from tollmeter.sql.named import load, names, parse
from tollmeter.sql.scoping import scoped

NOW = datetime(2026, 11, 23, 10)  # noqa: DTZ001 - the lake's times have no zone
SPAN = {"since": "2026-11-01", "until": "2026-12-01", "year": 2026, "month": 11}
ACME = Viewer("ada", ("acme",))
NOBODY = Viewer("eve", ())
CROSS = ", ".join(f"llm_calls AS c{index}" for index in range(9))
LONG = parse(f"-- name: long\n-- purpose: takes for ever\n-- columns: n\nSELECT COUNT(*) AS n FROM {CROSS}")


def _lakes() -> Any:
    # Test folders are no packages, and importlib mode puts none of them on the path.
    spec = spec_from_file_location("lakes", Path(__file__).parents[1] / "browser" / "lakes.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lakes = _lakes()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    home = Home(tmp_path_factory.mktemp("lake") / "home")
    lakes.fill(home, NOW, calls=60, hours=48)
    opened = Lake(home, Settings.load({}))
    yield opened
    opened.close()


def arguments(name: str, **others: str) -> dict[str, Any]:
    """A value for each parameter that must be given; `others` are ids of another tenant's rows."""
    known = SPAN | {"subject": "", "service": "assistant", "tenant": "globex", "session": ""} | others
    return {one.name: known[one.name] for one in load(name).parameters if one.default is None or one.name in SPAN}


def text(sql: str) -> Any:
    return parse(f"-- name: x\n-- purpose: y\n{sql}")


@pytest.mark.parametrize("name", names())
def test_no_named_query_tells_a_viewer_of_another_tenant(lake: Lake, name: str) -> None:
    (theirs,) = lake.run(LOCAL, text("SELECT * FROM llm_calls WHERE request_id = 'request-1'")).to_pylist()
    assert theirs["tenant_id"] == "globex"
    call = theirs["event_id"]
    given = arguments(name, call=call, calls=f"\x1f{call}\x1f", request=theirs["request_id"])
    told = str(lake.rows(ACME, name, **given))
    for theirs_alone in ("globex", "initech", call):
        assert theirs_alone not in told
    assert "acme" not in str(lake.rows(NOBODY, name, **given))


def test_a_viewer_gets_their_tenants_rows_from_whatever_is_asked(lake: Lake) -> None:
    def count(seen: Viewer, source: str, **params: Any) -> int:
        return int(lake.run(seen, text(f"SELECT COUNT(*) AS n FROM {source}"), **params).to_pylist()[0]["n"])

    both = Viewer("bob", ("acme", "globex"))
    for source in ("llm_calls", "requests AS r", "llm_requests", "spectrum_schema.raw_requests", '"llm_calls"'):
        assert [count(seen, source) for seen in (LOCAL, ACME, both, NOBODY)] == [60, 20, 40, 0], source
    assert count(ACME, "(SELECT * FROM llm_calls) AS inner_rows") == 20
    assert count(ACME, "llm_calls AS a JOIN requests AS b ON b.request_id = a.request_id") == 20
    assert count(ACME, "llm_calls WHERE event_id IN (SELECT event_id FROM LLM_CALLS)") == 20
    assert count(LOCAL, "rollup_calls_hourly") > 0
    assert count(ACME, "rollup_calls_hourly") == 0, "the hours carry no tenant"
    assert count(ACME, "llm_calls WHERE tenant_id = 'globex' OR 1 = 1") == 20


def test_a_tenant_with_quotes_is_a_value_and_no_text(lake: Lake) -> None:
    for tenant in ("x' OR '1'='1", "acme') OR (1=1", "%", "acme'--"):
        assert lake.rows(Viewer("eve", (tenant,)), "spend_by_tenant", **arguments("spend_by_tenant")) == []


def test_what_is_no_table_of_the_lake_is_not_scoped_but_refused() -> None:
    for sql in (
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM read_parquet('x')",
        "SELECT * FROM svv_tables",
        "WITH llm_calls AS (SELECT * FROM llm_calls) SELECT * FROM llm_calls",
    ):
        with pytest.raises(QueryError):
            scoped(sql, ["acme"])


def test_an_answer_is_kept_for_the_rows_of_a_viewer_alone(lake: Lake) -> None:
    first = lake.query(LOCAL, "spend_by_tenant", **arguments("spend_by_tenant"))
    assert lake.query(Viewer("other", None), "spend_by_tenant", **arguments("spend_by_tenant")) is first
    mine = lake.query(ACME, "spend_by_tenant", **arguments("spend_by_tenant"))
    assert mine is not first
    assert lake.query(Viewer("bea", ("acme",)), "spend_by_tenant", **arguments("spend_by_tenant")) is mine


def test_a_commit_makes_the_next_question_new(home: Home) -> None:
    lakes.fill(home, NOW, calls=10, hours=1)
    now = [0.0]
    lake = Lake(home, Settings.load({}), look_s=2, clock=lambda: now[0])

    def calls() -> Any:
        return lake.rows(LOCAL, "overview", **arguments("overview"))[0]["calls"]

    assert calls() == 10
    lakes.fill(home, NOW, calls=5, hours=1)
    assert calls() == 10, "the lake was looked at a moment ago"
    now[0] = 2.5
    assert calls() == 15


def test_an_engine_that_fails_is_opened_anew_and_asked_once_more_but_not_at_each_failure(home: Home) -> None:
    lakes.fill(home, NOW, calls=10, hours=1)
    now = [0.0]
    lake = Lake(home, Settings.load({}), clock=lambda: now[0])

    def count(number: int) -> Any:
        return lake.run(LOCAL, text(f"SELECT COUNT(*) + {number} AS n FROM llm_calls")).to_pylist()[0]["n"]

    assert count(0) == 10
    first = lake._engine
    assert isinstance(first, DuckDBEngine)
    first._connection.close()
    with pytest.raises(QueryError):
        count(1)
    now[0] = 11.0
    assert count(1) == 11
    second = lake._engine
    assert second is not first
    with pytest.raises(QueryError):
        lake.run(LOCAL, text("SELECT nowhere FROM llm_calls"))
    assert lake._engine is second, "it was opened just now"


class Elsewhere:
    """An engine that cannot tell when the lake changes, and whose connection may be lost."""

    snapshot = ""

    def __init__(self, lost: int = 0) -> None:
        self.asked, self.lost = 0, lost

    def refresh(self) -> None:
        pass

    def run(self, *_: Any) -> pa.Table:
        self.asked += 1
        if self.asked <= self.lost:
            raise TransientError("the connection was lost")
        return table(self.asked)


def elsewhere(engine: Elsewhere, now: list[float], patch: pytest.MonkeyPatch, home: Home, **more: Any) -> Lake:
    patch.setattr(lake_module, "open_engine", lambda *_args, **_more: engine)
    settings = Settings.load({}, engine="redshift", redshift_workgroup="w", **more)
    return Lake(Home(home.path, LakePlace.of(settings)), settings, clock=lambda: now[0])


def test_what_redshift_answered_is_kept_for_a_minute_where_nothing_tells_of_changes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, engine = [120.0], Elsewhere()
    lake = elsewhere(engine, now, monkeypatch, home)
    first = lake.query(LOCAL, "overview", **arguments("overview"))
    now[0] = 179
    assert lake.query(LOCAL, "overview", **arguments("overview")) is first
    now[0] = 180
    assert lake.query(LOCAL, "overview", **arguments("overview")) is not first


def test_the_catalog_tells_of_changes_for_redshift_where_it_can_be_reached(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakes.fill(home, NOW, calls=5, hours=1)
    now, engine = [0.0], Elsewhere()
    lake = elsewhere(engine, now, monkeypatch, home, lake_url=str(home.lake))
    first = lake.query(LOCAL, "overview", **arguments("overview"))
    now[0] = 600
    assert lake.query(LOCAL, "overview", **arguments("overview")) is first
    lakes.fill(home, NOW, calls=5, hours=1)
    now[0] = 603
    assert lake.query(LOCAL, "overview", **arguments("overview")) is not first


def test_a_connection_that_was_lost_costs_no_answer_and_one_that_stays_lost_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = elsewhere(Elsewhere(lost=1), [0.0], monkeypatch, home)
    assert lake.query(LOCAL, "overview", **arguments("overview")).num_rows == 2
    lake = elsewhere(Elsewhere(lost=2), [0.0], monkeypatch, home)
    with pytest.raises(TransientError):
        lake.query(LOCAL, "overview", **arguments("overview"))
    assert lake.failed_at is not None


def test_health_does_not_keep_redshift_awake(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    now, engine = [0.0], Elsewhere()
    lake = elsewhere(engine, now, monkeypatch, home)
    health = Health(lake, patience_s=60, clock=lambda: now[0])
    for now[0] in (0.0, 1800.0, 3599.0):
        assert health.fault() == ""
    assert engine.asked == 1
    now[0] = 3601
    assert health.fault() == ""
    assert engine.asked == 2


def test_a_question_that_runs_is_ended_by_its_asker_alone(lake: Lake) -> None:
    caught: list[BaseException] = []

    def ask() -> None:
        with pytest.raises(CancelledError) as told, lake.cancellable(ACME, "t1"):
            lake.run(ACME, LONG)
        caught.append(told.value)

    thread = threading.Thread(target=ask)
    thread.start()
    while not lake._cancels:
        thread.join(0.01)
    assert not lake.cancel(LOCAL, "t1"), "another viewer's token is another one"
    assert not lake.cancel(ACME, "t2")
    thread.join(0.2)
    assert thread.is_alive()
    assert lake.cancel(ACME, "t1")
    thread.join(60)
    assert len(caught) == 1
    assert not lake.cancel(ACME, "t1"), "nothing is left of it"
    assert len(lake.rows(ACME, "spend_by_tenant", **arguments("spend_by_tenant"))) == 1


def test_what_a_cancelled_block_asks_next_is_not_begun(lake: Lake) -> None:
    with lake.cancellable(ACME, "t"):
        lake.cancel(ACME, "t")
        with pytest.raises(CancelledError):
            lake.query(ACME, "overview", since="2026-11-02", until="2026-11-03")


# what is kept


def table(size: int) -> pa.Table:
    return pa.table({"x": pa.array(range(size), pa.int64())})


def test_answers_are_bounded_in_bytes_and_the_longest_unused_go_first() -> None:
    answers = Answers(max_bytes=3 * (800 + 512), max_age_s=60)
    for key in ("a", "b", "c"):
        answers.get(key, lambda: table(100))
    answers.get("a", lambda: table(1))
    answers.get("d", lambda: table(100))
    assert answers.held_bytes == 3 * (800 + 512)
    assert answers.get("a", lambda: table(1)).num_rows == 100
    assert answers.get("b", lambda: table(1)).num_rows == 1, "it was used before all others"
    answers.get("huge", lambda: table(10_000))
    assert answers.held_bytes <= 3 * (800 + 512)
    assert answers.get("huge", lambda: table(1)).num_rows == 1


def test_an_answer_is_forgotten_at_its_age() -> None:
    now = [0.0]
    answers = Answers(1 << 20, max_age_s=60, clock=lambda: now[0])
    answers.get("a", lambda: table(1))
    now[0] = 59
    assert answers.get("a", lambda: table(2)).num_rows == 1
    now[0] = 60
    assert answers.get("a", lambda: table(2)).num_rows == 2


def slow(begun: threading.Event, go: threading.Event, answer: Callable[[], pa.Table]) -> Callable[[], pa.Table]:
    def ask() -> pa.Table:
        begun.set()
        go.wait(60)
        return answer()

    return ask


def never() -> pa.Table:
    raise AssertionError("it is being asked already")


def test_a_question_that_is_being_asked_is_not_asked_again() -> None:
    answers, begun, go = Answers(1 << 20, 60), threading.Event(), threading.Event()
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(answers.get, "a", slow(begun, go, lambda: table(1)))
        begun.wait(60)
        others = [pool.submit(answers.get, "a", never) for _ in range(4)]
        go.set()
        assert {id(one.result(60)) for one in [first, *others]} == {id(first.result())}


def test_a_failure_is_told_to_all_who_wait_and_not_kept() -> None:
    answers, begun, go = Answers(1 << 20, 60), threading.Event(), threading.Event()

    def fails() -> pa.Table:
        raise QueryError("no")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(answers.get, "a", slow(begun, go, fails))
        begun.wait(60)
        other = pool.submit(answers.get, "a", fails)
        go.set()
        for one in (first, other):
            with pytest.raises(QueryError):
                one.result(60)
    assert answers.get("a", lambda: table(1)).num_rows == 1


def test_whoever_waits_for_a_question_that_is_cancelled_asks_it_themselves() -> None:
    answers, begun, go = Answers(1 << 20, 60), threading.Event(), threading.Event()

    def cancelled() -> pa.Table:
        raise CancelledError("by another")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(answers.get, "a", slow(begun, go, cancelled))
        begun.wait(60)
        other = pool.submit(answers.get, "a", lambda: table(3))
        go.set()
        with pytest.raises(CancelledError):
            first.result(60)
        assert other.result(60).num_rows == 3


def test_whoever_waits_may_give_up_and_leaves_the_other_alone() -> None:
    answers, begun, go, cancel = Answers(1 << 20, 60), threading.Event(), threading.Event(), Cancel()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(answers.get, "a", slow(begun, go, lambda: table(1)))
        begun.wait(60)
        other = pool.submit(answers.get, "a", never, cancel)
        cancel.now()
        with pytest.raises(CancelledError):
            other.result(60)
        go.set()
        assert first.result(60).num_rows == 1
