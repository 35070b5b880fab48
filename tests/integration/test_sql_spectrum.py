"""Every data file that the ETL writes is one that Spectrum reads, and a file that is not is told with its fault."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hand_lake import call, land
from redshift_lake import filled_home

from tollmeter.cli.main import main
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.events import MAX_CONTENT
from tollmeter.model.home import Home
from tollmeter.sql.catalog import open_catalog
from tollmeter.sql.spectrum import data_files, faults_of, texts_cut

NOON = datetime(2026, 11, 1, 12)  # noqa: DTZ001 - the lake's times have no zone


@pytest.mark.parametrize("codec", ["zstd", "snappy"])
def test_every_file_the_etl_writes_is_readable(home: Home, monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    monkeypatch.setenv("TOLLMETER_PARQUET_CODEC", codec)
    filled_home(home)
    catalog = open_catalog(home)
    files = list(data_files(catalog))
    catalog.close()
    assert {"requests", "llm_calls", "evaluations", "runs", "quarantine", "ingest_ledger", "rollup_calls_hourly",
            "rollup_latency_hourly", "rollup_requests_hourly"} <= {file.table for file in files}  # fmt: skip
    assert {file.address: file.faults for file in files} == {file.address: [] for file in files}
    first = pq.ParquetFile(files[0].address.removeprefix("file://"))
    assert first.metadata.row_group(0).column(0).compression == codec.upper()
    first.close()


def written(folder: Path, columns: dict[str, pa.Array], **how: Any) -> Path:
    path = folder / "some.parquet"
    pq.write_table(pa.table(columns), path, **how)
    return path


@pytest.mark.parametrize(
    ("columns", "how", "fault"),
    [
        ({"timestamp": pa.array([NOON], pa.timestamp("ns"))}, {}, "column timestamp: timestamp[ns], but the DDL has"),
        ({"timestamp": pa.array([NOON], pa.timestamp("us", "UTC"))}, {}, "expected microseconds without zone"),
        ({"timestamp": pa.array([NOON], pa.timestamp("ms"))}, {}, "column timestamp: timestamp[ms], but the DDL has"),
        (
            {"timestamp": pa.array([NOON], pa.timestamp("us"))},
            {"use_deprecated_int96_timestamps": True},
            "column timestamp: INT96",
        ),
        (
            {"cost_usd": pa.array([Decimal(1)], pa.decimal128(18, 9))},
            {},
            "decimal128(18, 9), but the DDL has",
        ),
        ({"cost_usd": pa.array([1.5])}, {}, "column cost_usd: double, but the DDL has decimal128(18, 12)"),
        ({"input_tokens": pa.array([1], pa.int32())}, {}, "column input_tokens: int32, but the DDL has int64"),
        ({"input_tokens": pa.array([1], pa.uint64())}, {}, "column input_tokens: unsigned"),
        ({"tags": pa.array([["a"]], pa.list_(pa.string()))}, {}, "column tags: list<"),
        ({"tags": pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string()))}, {}, "column tags: map<"),
        ({"mystery": pa.array(["a"])}, {}, "column mystery: not in the DDL of llm_calls"),
        (
            {"trace_id": pa.array(["Ω" * 512, "Ω" * 513])},
            {},
            "trace_id: 1 texts longer than 1,024 bytes",
        ),
        ({"service": pa.array(["a"])}, {"compression": "lz4"}, "codec LZ4"),
    ],
)
def test_what_spectrum_misreads_is_told(
    tmp_path: Path, columns: dict[str, pa.Array], how: dict[str, Any], fault: str
) -> None:
    found = faults_of(written(tmp_path, columns, **how), "llm_calls")
    assert any(fault in one for one in found), found


def test_texts_that_iceberg_cuts_are_counted_though_the_column_holds_them(tmp_path: Path) -> None:
    texts = pa.array(["a" * 16_384, "a" * 16_385, "Ω" * MAX_CONTENT, None])
    path = written(tmp_path, {"input_content": texts, "service": pa.array(["s"] * 4)})
    assert faults_of(path, "llm_calls") == []
    assert texts_cut(path, "llm_calls") == {"input_content": 2}


def test_the_lake_is_checked_from_the_command_line(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["tollmeter", "sql", "check", "--home", str(home.path), *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().out

    land(home, [call(datetime(2026, 11, 1, tzinfo=UTC), tags={"long": "x" * 20_000})])
    cut = "llm_calls.tags: 1 texts longer than 16,384 bytes, cut when read"
    assert run() == (0, f"{cut}\n1 data files, 0 faults\n")
    (file,) = home.lake.rglob("*.parquet")
    short = arrow_schema("llm_calls").field("timestamp").with_type(pa.timestamp("ns"))
    pq.write_table(pa.table({"timestamp": pa.array([NOON], short.type)}), file)
    code, out = run("--json")
    found = json.loads(out)
    assert (code, found["files"], found["faults"][0]["table"]) == (1, 1, "llm_calls")
    assert "timestamp[ns]" in found["faults"][0]["fault"]
