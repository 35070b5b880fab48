"""Compaction, expiry and vacuum: the rows stay, and just the files that nobody needs go."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from tollmeter import etl
from tollmeter.etl import datafiles, lake
from tollmeter.etl.lake import BATCH_PROPERTY, existing_tables
from tollmeter.etl.maintenance import compaction as compacting
from tollmeter.etl.maintenance.reach import list_files, needed_paths
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.errors import InvariantError, SettingError
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id
from tollmeter.model.settings import Settings
from tollmeter.sql.catalog import open_catalog

START = datetime(2026, 11, 1, 22)  # noqa: DTZ001  as the lake holds it, without zone
NO_MERCY = {"snapshot_min_age_s": 0.000001, "snapshot_max_age_s": 0.000001, "vacuum_grace_s": 0.000001}


def settings(**chosen: Any) -> Settings:
    return Settings.load({}, **chosen)


def part(numbers: range) -> pa.Table:
    """Calls of two days, in no order."""
    made = [START + timedelta(minutes=n * 7 % 180) for n in numbers]
    constant = {"schema_version": 1, "batch_id": "b-0", "ingested_at": START}
    found = [
        {
            "event_id": imported_event_id("keep", str(n)),
            "timestamp": at,
            "event_date": at.date(),
            "service": f"s{n % 3}",
            "input_tokens": n,
            **constant,
        }
        for n, at in zip(numbers, made, strict=True)
    ]
    return pa.Table.from_pylist(found, schema=arrow_schema("llm_calls"))


@pytest.fixture
def filled(home: Home) -> Home:
    """One table, six commits over two days, and the ledger of their batch."""
    catalog = open_catalog(home)
    for name in ("llm_calls", "ingest_ledger"):
        lake._open(catalog, name, lake._PROPERTIES)
    table = calls(home)
    for number in range(6):
        mark = {BATCH_PROPERTY: f"b-{number}"}
        table.append(part(range(number * 10, number * 10 + 10)), snapshot_properties=mark)
    counts = dict.fromkeys(("lines", "landed", "duplicates", "quarantined"), 1)
    row = {"object_key": "landed.jsonl", "sha256": "x", "batch_id": "b", "ingested_at": START, **counts}
    schema = arrow_schema("ingest_ledger")
    existing_tables(home)["ingest_ledger"].append(pa.Table.from_pylist([row], schema=schema))
    return home


def calls(home: Home) -> Table:
    return existing_tables(home)["llm_calls"]


def rows(home: Home, table: str = "llm_calls") -> list[dict[str, Any]]:
    found = existing_tables(home)[table].scan().to_arrow()
    return sorted(found.to_pylist(), key=repr)


def files_of(home: Home) -> set[Path]:
    return {path for path in home.lake.rglob("*") if path.is_file() and path.name != "catalog.sqlite"}


def test_compaction_keeps_every_row_sorts_them_and_is_done_once(filled: Home) -> None:
    before = {name: rows(filled, name) for name in existing_tables(filled)}
    planned = etl.compact(filled, dry_run=True)
    assert files_of(filled) == files_of(filled)
    seen: list[tuple[int, int]] = []
    report = etl.compact(filled, progress=lambda done, total: seen.append((done, total)))
    assert {name: rows(filled, name) for name in existing_tables(filled)} == before
    done = {(group.table, str(group.day)): group for group in report.groups}
    assert [(g.table, g.day) for g in planned.groups] == [(g.table, g.day) for g in report.groups]
    assert seen[-1] == (len(report.groups), len(report.groups))
    one = done["llm_calls", "2026-11-01"]
    assert (one.files_before, one.files_after, one.outcome) == (6, 1, "compacted")
    (file,) = [task.file for task in calls(filled).scan(row_filter="event_date = '2026-11-01'").plan_files()]
    assert file.record_count == one.rows
    stored = pq.read_table(file.file_path.removeprefix("file://"))
    order = list(zip(stored["service"].to_pylist(), stored["timestamp"].to_pylist(), strict=True))
    assert order == sorted(order)
    assert stored.schema.field("service").type == pa.string()
    assert file.file_size_in_bytes == Path(file.file_path.removeprefix("file://")).stat().st_size
    assert etl.compact(filled).groups == []


def test_only_where_it_pays() -> None:
    class File:
        def __init__(self, size: int) -> None:
            self.file_size_in_bytes = size

    def chosen(*sizes: int, settled: bool = False) -> list[int]:
        found = compacting.worth_compacting(
            [File(size) for size in sizes],  # type: ignore[misc]
            settings(compact_small_bytes=100, compact_min_files=3),
            settled=settled,
        )
        return [file.file_size_in_bytes for file in found]

    assert chosen(1, 1, 1) == [1, 1, 1]
    assert chosen(1, 1) == []
    assert chosen(1, 1, settled=True) == [1, 1]
    assert chosen(500, 1, 1, 1) == [1, 1, 1]
    assert chosen(90, 1, 1, 1) == [1, 1, 1]
    assert chosen(90, 40, 30, 25, 1) == [1, 25, 30, 40, 90]
    assert chosen(90, 1, settled=True) == [1, 90]
    assert chosen(500, settled=True) == []


def test_files_have_the_target_size(filled: Home) -> None:
    size = sum(task.file.file_size_in_bytes for task in calls(filled).scan().plan_files())
    report = etl.compact(filled, tables=["llm_calls"], settings=settings(compact_target_bytes=str(size // 4)))
    assert [(group.files_before, group.files_after) for group in report.groups] == [(6, 2), (4, 2)]
    assert len(rows(filled)) == 60


def test_an_append_meanwhile_stays(filled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = datafiles.exchange

    def overtaken(*arguments: Any) -> None:
        monkeypatch.undo()
        calls(filled).append(part(range(60, 70)))
        exchange(*arguments)

    monkeypatch.setattr(compacting, "exchange", overtaken)
    report = etl.compact(filled, tables=["llm_calls"])
    assert {group.outcome for group in report.groups} == {"compacted"}
    assert sorted(row["input_tokens"] for row in rows(filled)) == list(range(70))


def test_files_that_another_writer_replaced_are_let_be(filled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before, exchange = rows(filled), datafiles.exchange

    def overtaken(*arguments: Any) -> None:
        monkeypatch.undo()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(compacting, "maintenance_lock", lambda _: pytest.MonkeyPatch.context())
            etl.compact(filled, tables=["llm_calls"])
        exchange(*arguments)

    monkeypatch.setattr(compacting, "exchange", overtaken)
    report = etl.compact(filled, tables=["llm_calls"])
    assert report.left == len(report.groups) == 2
    assert rows(filled) == before
    table = calls(filled)
    assert [file for file in list_files(table) if file.path.endswith(".parquet")] == [
        file for file in list_files(table) if file.path in needed_paths(table) and file.path.endswith(".parquet")
    ]


def test_a_lost_acknowledgement_is_not_a_conflict(filled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before, exchange = rows(filled), datafiles.exchange

    def unheard(*arguments: Any) -> None:
        exchange(*arguments)
        raise CommitFailedException("the answer was lost")

    monkeypatch.setattr(compacting, "exchange", unheard)
    assert {group.outcome for group in etl.compact(filled, tables=["llm_calls"]).groups} == {"compacted"}
    assert rows(filled) == before


def test_damage_is_found_before_the_commit(filled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before, files, write = rows(filled), files_of(filled), datafiles.write_files

    def damaged(table: Table, partition: Any, found: pa.RecordBatchReader, most: int) -> Any:
        whole = found.read_all()
        at = whole.column_names.index("input_tokens")
        return write(
            table, partition, whole.set_column(at, "input_tokens", pa.array([0] * len(whole))).to_reader(), most
        )

    monkeypatch.setattr(compacting, "write_files", damaged)
    with pytest.raises(InvariantError, match="llm_calls 2026-11-01"):
        etl.compact(filled, tables=["llm_calls"])
    assert rows(filled) == before
    assert files_of(filled) == files


def test_expiry_deletes_just_what_only_old_snapshots_led_to(filled: Home) -> None:
    etl.compact(filled)
    table = calls(filled)
    tagged = table.metadata.snapshots[2].snapshot_id
    table.manage_snapshots().create_tag(tagged, "kept").commit()
    before, then = rows(filled), sorted(table.scan(snapshot_id=tagged).to_arrow()["input_tokens"].to_pylist())
    assert [one.snapshots for one in etl.expire(filled).tables if one.table == "llm_calls"] == [0]
    planned = etl.expire(filled, dry_run=True, settings=settings(**NO_MERCY))
    report = etl.expire(filled, settings=settings(**NO_MERCY))
    assert [(one.table, one.snapshots) for one in planned.tables] == [
        (one.table, one.snapshots) for one in report.tables
    ]
    table = calls(filled)
    assert {snapshot.snapshot_id for snapshot in table.metadata.snapshots} == {
        tagged,
        table.metadata.current_snapshot_id,
    }
    assert rows(filled) == before
    assert sorted(table.scan(snapshot_id=tagged).to_arrow()["input_tokens"].to_pylist()) == then
    for found in existing_tables(filled).values():
        assert {file.path for file in list_files(found)} == needed_paths(found)


def test_expiry_keeps_what_an_unfinished_batch_needs(filled: Home) -> None:
    table = calls(filled)
    empty = table.scan().to_arrow().slice(0, 1)
    for batch in ("unfinished-3", "unfinished-4", "no-batch"):
        table.append(empty, snapshot_properties={BATCH_PROPERTY: batch} if batch != "no-batch" else {})
    etl.expire(filled, settings=settings(**NO_MERCY))
    kept = [
        snapshot.summary.additional_properties.get(BATCH_PROPERTY)
        for snapshot in calls(filled).metadata.snapshots
        if snapshot.summary
    ]
    assert kept == ["unfinished-3", "unfinished-4", None]


def test_the_number_of_snapshots_is_bounded_but_the_young_stay(filled: Home) -> None:
    few = {"snapshot_max_count": 2}
    assert sum(one.snapshots for one in etl.expire(filled, settings=settings(**few)).tables) == 0
    etl.expire(filled, settings=settings(**few, snapshot_min_age_s=0.000001))
    assert max(len(table.metadata.snapshots) for table in existing_tables(filled).values()) == 2


def test_vacuum_removes_old_orphans_and_nothing_else(filled: Home) -> None:
    before, table = rows(filled), calls(filled)
    folder = Path(table.location())
    old, young = folder / "data" / "event_date=2026-11-01" / "old.parquet", folder / "metadata" / "young.avro"
    for path in (old, young):
        path.write_bytes(b"left by a run that was killed")
    long_ago = time.time() - 4 * 86_400
    for path in files_of(filled) - {young}:
        os.utime(path, (long_ago, long_ago))
    live = files_of(filled) - {old}
    planned = etl.vacuum(filled, dry_run=True)
    assert old.exists()
    report = etl.vacuum(filled)
    assert {one.table: (one.orphans, one.orphan_bytes) for one in report.tables if one.orphans} == {
        "llm_calls": (1, 29)
    }
    assert [one.orphans for one in planned.tables] == [one.orphans for one in report.tables]
    assert files_of(filled) == live
    assert rows(filled) == before
    etl.vacuum(filled, settings=settings(**NO_MERCY))
    assert files_of(filled) == live - {young}
    assert rows(filled) == before


def test_retention_drops_whole_days_and_raw_objects_that_have_landed(filled: Home) -> None:
    keep = {"retention_days": "llm_calls=1", "raw_retention_days": 30}
    filled.raw.mkdir()
    long_ago = time.time() - 31 * 86_400
    for name in ("landed.jsonl", "pending.jsonl"):
        (filled.raw / name).write_bytes(b"{}")
        os.utime(filled.raw / name, (long_ago, long_ago))
    assert etl.vacuum(filled, settings=settings(raw_retention_days=32)).raw_objects == 0
    planned = etl.vacuum(filled, dry_run=True, settings=settings(**keep))
    report = etl.vacuum(filled, settings=settings(**keep))
    assert [one.dropped_rows for one in planned.tables] == [one.dropped_rows for one in report.tables]
    assert {one.table: one.dropped_rows for one in report.tables if one.dropped_rows} == {"llm_calls": 60}
    assert rows(filled) == []
    assert {path.name for path in filled.raw.iterdir()} == {"pending.jsonl"}
    assert report.raw_objects == planned.raw_objects == 1
    with pytest.raises(SettingError, match="llm_cals"):
        etl.vacuum(filled, settings=settings(retention_days="llm_cals=1"))


def test_a_sort_that_does_not_fit_in_memory_goes_to_the_disk(filled: Home) -> None:
    assert not (filled.state / "etl").exists()
    with lake.connect(filled) as connection:
        connection.execute("SET memory_limit = '8MiB'; SET threads = 1")
        query = "SELECT count(*) FROM (SELECT hash(i) AS h, i FROM range(600000) t(i) ORDER BY h LIMIT 599999)"
        assert connection.execute(query).fetchone() == (599_999,)


def test_a_sort_that_fits_nowhere_names_the_memory_it_needs(filled: Home) -> None:
    before, files = rows(filled), files_of(filled)
    with pytest.raises(SettingError, match=r"maintenance_memory_bytes='1M' .* 512M or more: .* rows of llm_calls 2026"):
        etl.compact(filled, tables=["llm_calls"], settings=settings(maintenance_memory_bytes=1 << 20))
    assert rows(filled) == before
    assert files <= files_of(filled)


def test_a_home_without_a_lake(home: Home) -> None:
    assert not etl.compact(home).groups
    assert not etl.expire(home).tables
    assert not etl.vacuum(home).tables
    assert not home.lake.exists()
