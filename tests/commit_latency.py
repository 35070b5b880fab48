"""Latency of a commit over a thousand of them, with the maintenance that runs do and without.

`python tests/commit_latency.py COMMITS` prints medians in ms; `tests/integration/test_commit_latency.py` holds what
makes them flat at a small size: numbers of files, snapshots and manifests, never a time.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
from pyiceberg.table import Table

from tollmeter.etl import lake
from tollmeter.etl.lake import existing_tables
from tollmeter.etl.maintenance.expiry import tend
from tollmeter.etl.maintenance.reach import list_files
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id
from tollmeter.model.settings import Settings
from tollmeter.sql.catalog import open_catalog

START = datetime(2026, 11, 1)  # noqa: DTZ001  as the lake holds it, without zone
EDGE = 50
NONE = {"commit.retry.num-retries": "0"}
SETTINGS = Settings.load({}, snapshot_min_age_s=0.000001)


def one_call(number: int) -> pa.Table:
    """One row of the table of calls."""
    row: dict[str, Any] = {
        "event_id": imported_event_id("commit", str(number)),
        "schema_version": 1,
        "timestamp": START + timedelta(seconds=number),
        "event_date": START.date(),
        "service": "s",
        "ingested_at": START,
        "batch_id": f"b{number}",
    }
    return pa.Table.from_pylist([row], schema=arrow_schema("llm_calls"))


def make_table(home: Home, properties: dict[str, str]) -> Table:
    """The table of calls with chosen properties, and a ledger by which every batch has ended."""
    catalog = open_catalog(home)
    lake._open(catalog, "ingest_ledger", lake._PROPERTIES)
    return lake._open(catalog, "llm_calls", properties)


def commit(home: Home, commits: int, settings: Settings | None) -> list[float]:
    """Append one row so many times, each tended as a run does where settings are given; seconds of each append."""
    table, taken = make_table(home, lake._PROPERTIES if settings else NONE), list[float]()
    for number in range(commits):
        rows = one_call(number)
        start = time.perf_counter()
        table.append(rows)
        if settings:
            tend({"llm_calls": table}, settings)
        taken.append(time.perf_counter() - start)
    return taken


def shape(home: Home) -> dict[str, int]:
    """What a commit has to read and write: files there are, snapshots, manifests, bytes of metadata."""
    table = existing_tables(home)["llm_calls"]
    snapshot = table.current_snapshot()
    files = list_files(table)
    return {
        "metadata_files": sum("/metadata/" in file.path for file in files),
        "data_files": sum(file.path.endswith(".parquet") for file in files),
        "snapshots": len(table.metadata.snapshots),
        "manifests": len(snapshot.manifests(table.io)) if snapshot else 0,
        "metadata_bytes": next(file.size for file in files if table.metadata_location.endswith(Path(file.path).name)),
    }


def measure(commits: int, settings: Settings | None) -> dict[str, Any]:
    """Medians of the first and last commits in ms, and the shape they leave."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        taken = commit(home, commits, settings)
        first, last = (round(median(part) * 1000, 1) for part in (taken[:EDGE], taken[-EDGE:]))
        return {"first_ms": first, "last_ms": last, "ratio": round(last / first, 2), **shape(home)}


if __name__ == "__main__":
    count = int(sys.argv[1])
    for label, chosen in (("without", None), ("with", SETTINGS)):
        sys.stdout.write(f"{label} maintenance: {json.dumps(measure(count, chosen))}\n")
        sys.stdout.flush()
