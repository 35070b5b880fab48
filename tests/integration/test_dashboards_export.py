"""What is exported is what is filtered, whole, and safe to open."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import hand_lake
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient

from tollmeter.dashboards import address
from tollmeter.dashboards.access import LOCAL, Viewer
from tollmeter.dashboards.app import create_app
from tollmeter.dashboards.exporting import route
from tollmeter.dashboards.lake import Lake
from tollmeter.dashboards.pages import calls, overview
from tollmeter.dashboards.queries import calls_export
from tollmeter.dashboards.selection import parse_search
from tollmeter.dashboards.window import window
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
FORMULA = "=HYPERLINK(\"http://example.com\",'x')"
HOSTILE = (FORMULA, "+1", "-1", "@SUM(A1)", "\tx", 'a,"b"\nc', "<script>", "x" * 256)


def _land(home: Home, count: int) -> None:
    calls = [
        hand_lake.call(
            NOW - timedelta(minutes=index // 3 + 1),
            request_model=HOSTILE[index % len(HOSTILE)],
            tenant_id=("acme", "globex")[index % 2],
            cost_usd=Decimal("0.000000000123"),
            cost_status="priced",
        )
        for index in range(count)
    ]
    hand_lake.land(home, calls)
    hand_lake.roll_up(home)


@pytest.fixture
def client(home: Home) -> FlaskClient:
    _land(home, 40)
    made: FlaskClient = create_app(home, Settings.load({})).server.test_client()
    return made


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_holds_exactly_what_is_filtered_and_no_formula(client: FlaskClient) -> None:
    answer = client.get("/export/calls.csv?range=24h&tenant=acme")
    rows = _rows(answer.text)
    assert (answer.status_code, len(rows), answer.headers["X-Tollmeter-Rows"]) == (200, 20, "20")
    assert {row["tenant_id"] for row in rows} == {"acme"}
    assert {row["request_model"] for row in rows} == {f"'{FORMULA}", "'-1", "'\tx", "<script>"}
    assert all(row["created_at"].endswith("Z") and "T" in row["created_at"] for row in rows)
    assert {Decimal(row["cost_usd"]) for row in rows} == {Decimal("0.000000000123")}
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="tollmeter-calls-')
    everything = _rows(client.get("/export/calls.csv?range=24h").text)
    assert {row["request_model"] for row in everything} >= {"'+1", "'@SUM(A1)", 'a,"b"\nc', "x" * 256}


def test_a_search_of_the_page_of_calls_narrows_what_is_exported(client: FlaskClient) -> None:
    answer = client.get("/export/calls.csv?range=24h&q=%3CScript&min_cost=1e-12")
    assert {row["request_model"] for row in _rows(answer.text)} == {"<script>"}
    assert answer.headers["X-Tollmeter-Rows"] == "5"
    assert _rows(client.get("/export/calls.csv?range=24h&min_cost=1").text) == []
    searched = parse_search("?range=24h&q=%3Cscript&sort=-cost&call=x", calls.PAGE.own)
    (csv_link, _) = [one.href for one in address.exports(calls.PAGE, searched)[:2]]
    assert csv_link == "./export/calls.csv?range=24h&q=%3Cscript"
    sessions = parse_search("?range=24h&q=a+session", ("q",))
    assert address.exports(overview.PAGE, sessions)[0].href == "./export/calls.csv?range=24h"


def test_parquet_holds_the_same_rows_with_their_types(client: FlaskClient) -> None:
    answer = client.get("/export/calls.parquet?range=24h&tenant=globex")
    table = pq.read_table(io.BytesIO(answer.data))
    assert table.num_rows == 20
    assert str(table.schema.field("created_at").type) == "timestamp[us, tz=UTC]"
    assert set(table.column("cost_usd").to_pylist()) == {Decimal("0.000000000123")}
    assert FORMULA not in table.column("request_model").to_pylist()
    assert "+1" in table.column("request_model").to_pylist()


def test_an_address_that_is_not_understood_exports_nothing(client: FlaskClient) -> None:
    answer = client.get("/export/calls.csv?colour=red")
    assert (answer.status_code, "'colour' is no dimension" in answer.text) == (400, True)


def test_more_than_one_export_holds_is_refused_with_both_numbers(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    _land(home, 12)
    monkeypatch.setattr(route, "MOST_ROWS", 10)
    answer = create_app(home, Settings.load({})).server.test_client().get("/export/calls.csv")
    assert answer.status_code == 413
    assert (
        answer.text == "12 calls are more than the 10 that one export holds: choose a shorter time or filter further.\n"
    )


@pytest.mark.parametrize("part_rows", [1, 3, 7, 100])
def test_parts_follow_on_without_gap_or_repeat_where_moments_are_equal(home: Home, part_rows: int) -> None:
    _land(home, 25)
    selection = parse_search("?range=24h")
    found = list(calls_export.parts(Lake(home), LOCAL, selection, window(selection, NOW), part_rows=part_rows))
    ids = [one for table in found for one in table.column("event_id").to_pylist()]
    assert len(ids) == len(set(ids)) == 25
    assert all(table.num_rows <= part_rows for table in found)


def test_a_viewer_of_one_tenant_exports_no_row_of_another(home: Home) -> None:
    _land(home, 20)
    selection = parse_search("?range=24h")
    given = (Lake(home), Viewer("ada", ("acme",)), selection, window(selection, NOW))
    assert calls_export.counted(*given) == 10
    tenants = {one for table in calls_export.parts(*given) for one in table.column("tenant_id").to_pylist()}
    assert tenants == {"acme"}
