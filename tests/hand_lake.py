"""A lake written by hand: events of the model through the catalog, as the ETL lands them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pyarrow as pa
from pyiceberg.table import Table

from tollmeter.etl.lake import open_tables
from tollmeter.etl.rollups import RollupReport, derive
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.events import Event, LlmCall, Request
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.names import TABLE_OF_KIND
from tollmeter.model.settings import Settings
from tollmeter.sql.catalog import NAMESPACE, open_catalog

LANDED = datetime(2026, 11, 20, 12, tzinfo=UTC).replace(tzinfo=None)


def call(moment: datetime, **fields: Any) -> LlmCall:
    """A model call at a moment, with whatever else matters to the test."""
    given: dict[str, Any] = {
        "service": "chat",
        "environment": "test",
        "request_model": "gpt-4o",
        "latency_ms": 100.0,
    } | fields
    return LlmCall(event_id=new_event_id(), timestamp=moment, **given)


def request(moment: datetime, **fields: Any) -> Request:
    """A served request at a moment."""
    given: dict[str, Any] = {"service": "chat", "route": "/chat"} | fields
    return Request(event_id=new_event_id(), timestamp=moment, **given)


def land(home: Home, events: Iterable[Event]) -> None:
    """Append events to the tables of their kinds."""
    by_table: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_table.setdefault(TABLE_OF_KIND[str(event.__struct_config__.tag)], []).append(row_of(event))
    for table, rows in by_table.items():
        append(home, table, rows)


def roll_up(home: Home, zone: str = "UTC") -> RollupReport:
    """Bring the rollups up to the rows, as a run does."""
    return derive(home, open_tables(home, "zstd"), Settings.load({}, timezone=zone))


def append(home: Home, table: str, rows: list[dict[str, Any]]) -> None:
    """Append rows to a table, made if missing and partitioned by day as the ETL's are; missing columns are null."""
    schema = arrow_schema(table)
    full = [{name: row.get(name) for name in schema.names} for row in rows]
    catalog = open_catalog(home)
    opened(catalog, table).append(pa.Table.from_pylist(full, schema=schema))
    catalog.close()


def opened(catalog: Any, table: str) -> Table:
    """The Iceberg table of that name, made if missing."""
    if catalog.table_exists((NAMESPACE, table)):
        found: Table = catalog.load_table((NAMESPACE, table))
        return found
    made: Table = catalog.create_table((NAMESPACE, table), schema=arrow_schema(table))
    if "event_date" in arrow_schema(table).names:
        with made.update_spec() as spec:
            spec.add_identity("event_date")
    return made


def row_of(event: Event) -> dict[str, Any]:
    """The event as a row of its table."""
    row = {name: _cell(value) for name, value in msgspec.structs.asdict(event).items()}
    moment = event.timestamp.astimezone(UTC).replace(tzinfo=None)
    landed = {"timestamp": moment, "event_date": date(moment.year, moment.month, moment.day)}
    return row | landed | {"ingested_at": LANDED, "batch_id": "by-hand"}


def _cell(value: Any) -> Any:
    return json.dumps(msgspec.to_builtins(value)) if isinstance(value, dict | list) else value
