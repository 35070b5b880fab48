"""Maintenance of a lake on S3 and Glue: the same code, and the same files are left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aws_lake import BUCKET, AwsLake, lake_on_aws
from aws_server import boto

from tollmeter import etl
from tollmeter.etl.forgetting.subject import Subject
from tollmeter.etl.lake import existing_tables
from tollmeter.etl.maintenance.reach import list_files, needed_paths
from tollmeter.model.events import LlmCall, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id
from tollmeter.model.settings import Settings

START = datetime(2026, 11, 1, 22, tzinfo=UTC)
EAGER = Settings.load(
    {}, compact_min_files=2, snapshot_min_age_s=0.000001, snapshot_max_age_s=0.000001, vacuum_grace_s=0.000001
)
PART = 3
ORPHAN = "lake/tollmeter.db/llm_calls/data/orphan.parquet"


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsLake]:
    with lake_on_aws(tmp_path, monkeypatch) as lake:
        yield lake


def land(home: Home, name: str, numbers: range) -> None:
    home.raw.mkdir(parents=True, exist_ok=True)
    calls = (
        LlmCall(
            event_id=imported_event_id("p", str(n)), timestamp=START, service="s", input_tokens=n, user_id=f"user-{n}"
        )
        for n in numbers
    )
    (home.raw / name).write_bytes(b"".join(map(encode, calls)))
    etl.run(home)


def tokens(home: Home) -> list[int]:
    return sorted(existing_tables(home)["llm_calls"].scan().to_arrow()["input_tokens"].to_pylist())


@pytest.mark.full
def test_compact_expire_vacuum_and_forget(aws: AwsLake) -> None:
    for part in range(2):
        land(aws.home, f"{part}.jsonl", range(part * PART, part * PART + PART))
    aws.put(ORPHAN, b"left by a run that was killed")
    (group,) = etl.compact(aws.home, tables=["llm_calls"], settings=EAGER).groups
    assert (group.files_before, group.files_after, group.outcome) == (2, 1, "compacted")
    assert sum(table.files for table in etl.expire(aws.home, settings=EAGER).tables) > 0
    removed = {table.table: table.orphans for table in etl.vacuum(aws.home, settings=EAGER).tables if table.orphans}
    assert removed == {"llm_calls": 1}
    assert tokens(aws.home) == list(range(2 * PART))

    report = etl.forget(aws.home, Subject("user_id", "user-4"), settings=EAGER)
    assert (report.rows, report.raw_lines, report.found) == ({"llm_calls": 1, "rollup_sessions_daily": 1}, 1, [])
    assert tokens(aws.home) == [n for n in range(2 * PART) if n != 4]
    for table in existing_tables(aws.home).values():
        assert {file.path for file in list_files(table)} == needed_paths(table)
    listed = boto("s3").list_objects_v2(Bucket=BUCKET, Prefix="lake/tollmeter.db/llm_calls/data/")["Contents"]
    # pyarrow leaves an empty object for the folder of a file it deletes; no table reads those
    assert len([found for found in listed if found["Size"]]) == 1
