"""Redshift by its real driver, against PostgreSQL behind a relay: every query and view gives what DuckDB gives."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from aws_server import lead_boto3_to
from redshift_data_double import DataApi, data_api
from redshift_double import RedshiftDouble
from redshift_lake import copy_to, filled_home, settings

from tollmeter.model.derived import value_of
from tollmeter.model.errors import CancelledError, QueryError, TransientError, UsageError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.sql.cancelling import Cancel
from tollmeter.sql.deploy import run_steps, steps_of
from tollmeter.sql.engine import Engine, open_engine, open_remote
from tollmeter.sql.lake_views import TABLES
from tollmeter.sql.named import load, names, parse
from tollmeter.sql.redshift_data_engine import RedshiftDataEngine
from tollmeter.sql.remote import RemoteEngine
from tollmeter.sql.scoping import scoped
from tollmeter.sql.templates import template

SPAN = {"since": "2020-01-01", "until": "2100-01-01"}
WORKGROUP = "ai-platform-workgroup"
VIEWS = [*TABLES, "llm_requests", "spectrum_schema.raw_requests"]


@pytest.fixture(scope="module")
def deployed(redshift: RedshiftDouble, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, RedshiftDouble]:
    """A lake, its rows in the external schema, and all that `tollmeter sql deploy --native` makes."""
    home = filled_home(Home(tmp_path_factory.mktemp("lake") / "home"))
    copy_to(redshift, home)
    given = settings(redshift)
    with open_remote("redshift", given) as engine:
        list(run_steps(engine, steps_of(given, native=True)))
    return home, redshift


@pytest.fixture(scope="module")
def local(deployed: tuple[Home, RedshiftDouble]) -> Iterator[Engine]:
    with open_engine("duckdb", deployed[0]) as engine:
        yield engine


@pytest.fixture
def api(deployed: tuple[Home, RedshiftDouble], monkeypatch: pytest.MonkeyPatch) -> Iterator[DataApi]:
    with data_api(deployed[1]) as found:
        lead_boto3_to(found.url, monkeypatch)
        yield found


@pytest.fixture(scope="module")
def driver(deployed: tuple[Home, RedshiftDouble]) -> Iterator[RemoteEngine]:
    with open_remote("redshift", settings(deployed[1])) as engine:
        yield engine


def over_http(sleep: Callable[[float], None] = lambda _seconds: None, **more: Any) -> RedshiftDataEngine:
    """The Data API's engine, which waits for nothing unless told how."""
    return RedshiftDataEngine(Settings.load({}, redshift_workgroup=WORKGROUP, **more), sleep=sleep)


SCORED = """
    SELECT event_id AS "call", CHR(31) || event_id || CHR(31) AS calls, request_id AS request, service,
           session_id AS session, COALESCE(tenant_id, '') AS tenant, 'rerank' AS subject
    FROM llm_calls WHERE event_id IN (SELECT call_id FROM evaluations) ORDER BY "timestamp" LIMIT 1
"""


def arguments(name: str, local: Engine) -> dict[str, Any]:
    """A wide span, and of what must be named that which a call with a score has."""
    (ids,) = local.execute(SCORED).to_pylist()
    needed = {one.name: ids[one.name] for one in load(name).parameters if one.default is None and one.name in ids}
    known = SPAN | {"year": 2026, "month": 11}
    return {one.name: known[one.name] for one in load(name).parameters if one.name in known} | needed


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Same rows in the same order: all equal but floats, which two engines may add up in another order."""
    assert [list(row) for row in found] == [list(row) for row in expected]
    for row, wanted in zip(found, expected, strict=True):
        for column, value in row.items():
            if isinstance(value, float) and wanted[column] is not None:
                assert value == pytest.approx(wanted[column], rel=1e-9), column
            else:
                assert value == wanted[column], column


@pytest.mark.parametrize("name", names())
def test_every_query_gives_the_same_rows_as_on_duckdb(local: Engine, driver: RemoteEngine, name: str) -> None:
    given = arguments(name, local)
    expected = local.query(name, **given)
    found = driver.query(name, **given)
    assert found.schema.types == expected.schema.types
    assert expected.num_rows > 0
    same(found.to_pylist(), expected.to_pylist())


CUT = {"since": "2026-11-01T21:30", "until": "2026-11-03T12:30"}
HOURS = CUT | {"source": "hours", "since_whole": "2026-11-01T22:00", "until_whole": "2026-11-03T12:00"}
DAYS = CUT | {"since_whole": "2026-11-02", "until_whole": "2026-11-03", "since_day": "2026-11-02",
              "until_day": "2026-11-03"}  # fmt: skip
BOTH = [
    HOURS | {"bucket": "hour", "by": "route"},
    HOURS | {"bucket": "month", "zone": "America/New_York", "by": "model", "top": 2},
    DAYS | {"source": "days", "bucket": "day", "by": "model"},
    DAYS | {"source": "days", "bucket": "all", "by": "none", "rows": "skipped"},
    CUT | {"bucket": "day", "zone": "Asia/Kolkata", "hours_begin": "30", "by": "stream"},
    CUT | {"bucket": "hour", "hours_begin": "45", "by": "none", "tenant": "\x1fzeta's\x1f\x1f"},
]
SUMS = [
    DAYS | {"source": "spend", "bucket": "day", "by": "tenant", "top": 1, "rank": "tokens"},
    DAYS | {"source": "sessions", "bucket": "all", "by": "session", "top": 3, "tenant": "\x1facme\x1f", "search": "S1"},
    CUT | {"bucket": "minute", "by": "status", "requests": "skipped", "rank": "errors"},
]


@pytest.mark.parametrize(("name", "given"), [*product(("sums", "quantiles"), BOTH), *product(("sums",), SUMS)])
def test_every_source_of_the_cube_gives_the_same_rows(
    local: Engine, driver: RemoteEngine, name: str, given: dict[str, Any]
) -> None:
    expected = local.query(name, **given).to_pylist()
    assert expected
    same(driver.query(name, **given).to_pylist(), expected)


@pytest.mark.full
def test_every_query_through_the_data_api_too(local: Engine, api: DataApi) -> None:
    api.page_rows = 50
    with over_http() as engine:
        for name in names():
            given = arguments(name, local)
            same(engine.query(name, **given).to_pylist(), local.query(name, **given).to_pylist())


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_gives_the_same_rows_as_on_duckdb(local: Engine, driver: RemoteEngine, view: str) -> None:
    def rows(engine: Engine) -> list[dict[str, Any]]:
        found = engine.execute(f"SELECT * FROM {view}").to_pylist()
        return sorted(found, key=lambda row: [str(value) for value in row.values()])

    same(rows(driver), rows(local))


BUCKETS = """
    WITH counted AS (
      SELECT bucket, SUM("count") AS n FROM rollup_latency_hourly WHERE metric = 'llm.latency_ms' GROUP BY 1
    ),
    ranked AS (
      SELECT bucket, SUM(n) OVER (ORDER BY bucket ROWS UNBOUNDED PRECEDING) AS below, SUM(n) OVER () AS total
      FROM counted
    )
    SELECT MIN(CASE WHEN below >= CAST(:share AS DECIMAL(9, 4)) * total THEN bucket END) AS bucket FROM ranked
"""


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_percentiles_of_buckets_are_within_their_error(local: Engine, driver: RemoteEngine, share: float) -> None:
    values = sorted(local.execute("SELECT latency_ms FROM llm_calls")["latency_ms"].to_pylist())
    exact = values[math.ceil(share * len(values)) - 1]
    for engine in (local, driver):
        (row,) = engine.execute(BUCKETS, {"share": str(share)}).to_pylist()
        assert value_of(int(row["bucket"])) == pytest.approx(exact, rel=0.01)


def test_parameters_are_bound_and_filters_hold(local: Engine, driver: RemoteEngine, api: DataApi) -> None:
    with over_http() as data:
        for model in ("gpt-4o,mödel-Ω", "' OR 1=1 --", "gpt-4"):
            expected = local.query("cost_by_day_model", **SPAN, model=model).to_pylist()
            same(driver.query("cost_by_day_model", **SPAN, model=model).to_pylist(), expected)
            same(data.query("cost_by_day_model", **SPAN, model=model).to_pylist(), expected)
    assert {one["value"] for one in list(api.statements.values())[1].request["Parameters"]} == {
        "2020-01-01 00:00:00", "2100-01-01 00:00:00", "' OR 1=1 --",
    }  # fmt: skip


def test_what_people_already_type_works(driver: RemoteEngine) -> None:
    text = """
        SELECT model, DATE_TRUNC('day', created_at) AS day, COUNT(*) AS requests, SUM(tokens) AS total_tokens,
               AVG(latency_ms) AS avg_latency
        FROM llm_requests
        WHERE created_at >= DATEADD(day, -30000, GETDATE())
        GROUP BY model, DATE_TRUNC('day', created_at)
        ORDER BY day DESC
    """
    rows = driver.execute(text).to_pylist()
    assert sum(row["requests"] for row in rows) == 400
    assert rows[0]["day"] == datetime(2026, 11, 3)  # noqa: DTZ001
    counted = driver.execute(
        "SELECT model, COUNT(*) AS n FROM spectrum_schema.raw_requests WHERE year = :y AND month = :m GROUP BY model",
        {"y": 2026, "m": 11},
    )
    assert sum(counted["n"].to_pylist()) == 400


def test_nulls_empty_texts_and_every_type_come_through_each_engine(driver: RemoteEngine, api: DataApi) -> None:
    text = (
        "SELECT CAST(:nothing AS VARCHAR) AS a, CAST(:empty AS VARCHAR) AS b, CAST(:money AS DECIMAL(18,12)) AS c, "
        "CAST(:moment AS TIMESTAMP) AS d, CAST(:day AS DATE) AS e, CAST(:yes AS BOOLEAN) AS f, CAST(:n AS BIGINT) AS g,"
        " CAST(:x AS DOUBLE PRECISION) AS h, ':nothing' AS i, CAST(:money AS DECIMAL(18,12)) * 10 AS j"
    )
    moment = datetime(2026, 11, 1, 12, 30, 0, 1)  # noqa: DTZ001
    params = {"nothing": None, "empty": "", "money": Decimal("0.000000000001"), "moment": moment,
              "day": moment.date(), "yes": True, "n": 2**53 + 1, "x": 0.1}  # fmt: skip
    expected = {"a": None, "b": "", "c": Decimal("0.000000000001"), "d": moment, "e": moment.date(), "f": True,
                "g": 2**53 + 1, "h": 0.1, "i": ":nothing", "j": Decimal("0.000000000010")}  # fmt: skip
    with over_http() as data:
        for engine in (driver, data):
            assert engine.execute(text, params).to_pylist() == [expected]
    assert str(driver.execute(text, params).schema.field("c").type) == "decimal128(18, 12)"


def test_the_data_api_is_asked_until_the_end_and_read_page_by_page(api: DataApi) -> None:
    with over_http() as engine:
        rows = engine.execute("SELECT event_id FROM llm_requests ORDER BY event_id LIMIT 7")
    assert rows.num_rows == 7
    assert api.calls == ["ExecuteStatement", *["DescribeStatement"] * 4, *["GetStatementResult"] * 4]


def test_waits_grow_and_are_spread_by_chance(api: DataApi) -> None:
    waits: list[float] = []
    engine = over_http(waits.append)
    for _ in range(8):
        engine.execute("SELECT 1 AS one")
    first, third = waits[::3], waits[2::3]
    assert len(set(first)) == 8
    assert all(0.05 <= wait <= 0.1 for wait in first)
    assert all(0.1 < wait <= 0.225 for wait in third)


def test_a_statement_that_takes_too_long_is_cancelled(api: DataApi) -> None:
    api.hangs = True
    with over_http(redshift_timeout_s=0.05) as engine, pytest.raises(QueryError, match=r"cancelled after 0\.05 s"):
        engine.execute("SELECT 1")
    assert api.cancelled == list(api.statements)


def test_a_statement_nobody_waits_for_any_more_is_cancelled(api: DataApi) -> None:
    api.hangs = True

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        over_http(interrupted).execute("SELECT 1")
    assert api.cancelled == list(api.statements)


def test_faults_name_what_redshift_said(driver: RemoteEngine, api: DataApi) -> None:
    with over_http() as data:
        for engine in (driver, data):
            with pytest.raises(QueryError, match='relation "nowhere" does not exist\nin: SELECT 1 FROM nowhere'):
                engine.execute("SELECT 1 FROM nowhere")
        with pytest.raises(QueryError, match="unused parameters"):
            data.execute("SELECT 1", {"model": "x"})
        api.throttled = 100
        with pytest.raises(TransientError, match="too many active statements"):
            data.execute("SELECT 1")
    with pytest.raises(QueryError, match="no value was given for parameter model"):
        driver.execute("SELECT :model")
    assert driver.execute("SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_threads_share_a_connection(driver: RemoteEngine) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda n: driver.execute("SELECT CAST(:n AS BIGINT) AS n", {"n": n}).to_pylist(), range(50))
        assert list(found) == [[{"n": n}] for n in range(50)]


def test_a_few_connections_serve_many_threads_and_one_that_broke_is_not_lent_again(
    deployed: tuple[Home, RedshiftDouble],
) -> None:
    with open_remote("redshift", settings(deployed[1]), statements=3) as engine, ThreadPoolExecutor(8) as pool:
        pids = set(pool.map(lambda _: str(engine.execute("SELECT pg_backend_pid() AS n").to_pylist()), range(40)))
        assert len(pids) <= 3
        for pid in pids:
            number = "".join(filter(str.isdigit, pid))
            deployed[1].psql(f"SELECT pg_terminate_backend({number})")
        with pytest.raises(TransientError, match="connection to Redshift was lost"):
            engine.execute("SELECT 1")
        assert engine.execute("SELECT 1 AS one").to_pylist() == [{"one": 1}]


CROSS = ", ".join(f"llm_calls AS c{index}" for index in range(6))
LONG = parse(f"-- name: long\n-- purpose: takes for ever\n-- columns: n\nSELECT COUNT(*) AS n FROM {CROSS}")


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_statement_is_cancelled_where_it_runs_and_the_connection_serves_on(
    deployed: tuple[Home, RedshiftDouble],
) -> None:
    watching = (
        "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE :text"
    )
    with (
        open_remote("redshift", settings(deployed[1])) as engine,
        open_remote("redshift", settings(deployed[1])) as seen,
    ):
        cancel = Cancel()

        def is_running() -> bool:
            return bool(seen.execute(watching, {"text": "%llm_calls AS c5%"}).num_rows)

        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(engine.run, LONG, {}, cancel)
            until(is_running)
            cancel.now()
            with pytest.raises(CancelledError):
                asked.result(60)
        assert not is_running()
        assert engine.execute("SELECT 1 AS one").to_pylist() == [{"one": 1}]
        with pytest.raises(CancelledError):
            engine.run(LONG, {}, cancel)


def test_a_statement_of_the_data_api_is_cancelled_where_it_runs(api: DataApi) -> None:
    api.hangs, cancel = True, Cancel()
    with over_http(time.sleep) as engine, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(engine.run, LONG, {}, cancel)
        until(lambda: bool(api.statements))
        cancel.now()
        with pytest.raises(CancelledError):
            asked.result(60)
        assert api.cancelled == list(api.statements)
        with pytest.raises(CancelledError):
            engine.run(LONG, {}, cancel)
    assert len(api.statements) == 1


@pytest.mark.parametrize("name", names())
def test_a_query_of_some_tenants_gives_the_same_rows_as_on_duckdb(
    local: Engine, driver: RemoteEngine, name: str
) -> None:
    query = load(name)
    text, tenants = scoped(query.sql, ["acme", "globex"])
    values = query.bind(arguments(name, local)) | tenants
    narrowed = replace(query, sql=text)
    same(driver.run(narrowed, values).to_pylist(), local.run(narrowed, values).to_pylist())


def test_deploying_again_changes_nothing_and_makes_no_role_twice(deployed: tuple[Home, RedshiftDouble]) -> None:
    given = settings(deployed[1])
    with open_remote("redshift", given) as engine:
        before = engine.execute("SELECT COUNT(*) AS n FROM llm_requests").to_pylist()
        steps = list(run_steps(engine, steps_of(given, native=True)))
        assert [step.sql for step, was_run in steps if not was_run] == ['CREATE ROLE "tollmeter_reader"']
        list(run_steps(engine, steps_of(given, recreate=True)))
        assert engine.execute("SELECT COUNT(*) AS n FROM llm_requests").to_pylist() == before == [{"n": 400}]


def test_a_reader_reads_the_views_and_changes_nothing(deployed: tuple[Home, RedshiftDouble]) -> None:
    redshift = deployed[1]
    redshift.psql("CREATE USER analyst PASSWORD 'Made-up-2'; GRANT tollmeter_reader TO analyst")
    given = settings(redshift, redshift_user="analyst", redshift_password="Made-up-2")
    with open_remote("redshift", given) as engine:
        for view in VIEWS:
            engine.execute(f"SELECT COUNT(*) FROM {view}")
        refused = [
            "DELETE FROM tollmeter_lake.llm_calls",
            "SELECT * FROM tollmeter_native.llm_calls",
            "INSERT INTO llm_calls (event_id) VALUES ('x')",
            "CREATE TABLE public.mine (a INT)",
        ]
        for sql in refused:
            with pytest.raises(QueryError, match="permission denied"):
                engine.execute(sql)


def test_views_in_a_schema_of_their_own_are_found_by_queries(
    deployed: tuple[Home, RedshiftDouble], api: DataApi
) -> None:
    given = settings(deployed[1], redshift_schema="llm")
    with open_remote("redshift", given) as engine, over_http(redshift_schema="llm") as data:
        list(run_steps(engine, steps_of(given)))
        expected = engine.query("overview", **SPAN).to_pylist()
        assert expected[0]["calls"] == 400
        same(data.query("overview", **SPAN).to_pylist(), expected)
        with pytest.raises(QueryError, match='"nowhere" does not exist'):
            engine.execute("SELECT * FROM nowhere")
    assert any('FROM "llm".llm_requests' in sql for sql in deployed[1].received)


def test_days_are_loaded_into_a_native_table_once(driver: RemoteEngine, api: DataApi) -> None:
    values = {"native_schema": "tollmeter_native", "table": "llm_calls", "schema": "public", "since": "2026-11-02",
              "until": "2026-11-03"}  # fmt: skip
    expected = driver.execute("SELECT COUNT(*) AS n FROM llm_calls WHERE event_date = '2026-11-02'").to_pylist()
    with over_http() as data:
        for engine in (driver, driver, data):
            engine.transaction(template("load_native").filled(values))
            assert engine.execute("SELECT COUNT(*) AS n FROM tollmeter_native.llm_calls").to_pylist() == expected
        for engine in (driver, data):
            with pytest.raises(QueryError, match="nowhere"):
                engine.transaction(["DELETE FROM tollmeter_native.llm_calls", "SELECT 1 FROM nowhere"])
            assert engine.execute("SELECT COUNT(*) AS n FROM tollmeter_native.llm_calls").to_pylist() == expected
        with pytest.raises(UsageError, match="41 statements"):
            data.transaction(["SELECT 1"] * 41)


@pytest.mark.filterwarnings("ignore:unclosed <socket")  # the driver leaves it to the collector when it is refused
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_connection_that_is_refused_is_told(redshift: RedshiftDouble) -> None:
    with pytest.raises(QueryError, match=r"did not accept the connection.*nobody"):
        open_remote("redshift", settings(redshift, redshift_user="nobody_known"))
    with pytest.raises(QueryError, match="did not accept the connection"):
        open_remote("redshift", settings(redshift, redshift_port=1))
    gc.collect()
