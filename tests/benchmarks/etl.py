"""Rows per second and memory of `tollmeter etl run`, beside DuckDB's plain copy of the same lines to Parquet."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.memory import watched
from benchmarks.paired import ratio
from benchmarks.wide_rows import fields_of, wide_lines, write_objects

from tollmeter.etl.lake import existing_tables
from tollmeter.model.home import Home

TOLLMETER, DUCKDB = "tollmeter etl run", "DuckDB COPY"
_LINES_OF_OBJECT = 250_000
_SIDE = Path(__file__).with_name("etl_side.py")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Lines that are landed before, lines that each round lands, rounds, and lines of the runs that show growth."""

    committed: int
    rows: int
    rounds: int
    growth: Sequence[int] = ()


def measure(sizes: Sizes, progress: Callable[[str], None]) -> dict[str, object]:
    """Interleaved rounds, each side in a process of its own; every round begins with the same lake."""
    with tempfile.TemporaryDirectory(prefix="tollmeter-bench-") as folder:
        base, raw = Path(folder) / "base", Path(folder) / "raw"
        progress("etl: 1 of the rows that are there before")
        _write(base / "raw", 0, sizes.committed)
        _side("etl", base)
        _write(raw, sizes.committed - sizes.rows // 100, sizes.rows)
        found: dict[str, list[dict[str, Any]]] = {TOLLMETER: [], DUCKDB: []}
        for index in range(sizes.rounds):
            progress(f"etl: round {index + 1} of {sizes.rounds}")
            for name in (TOLLMETER, DUCKDB) if index % 2 else (DUCKDB, TOLLMETER):
                found[name].append(_landed(base, raw) if name == TOLLMETER else _side("duckdb", raw))
        document = _document(found, sizes) | {"bytes_per_row": _bytes_per_row(Home(base))}
        shutil.rmtree(base)
        growth = [_grown(Path(folder), lines, progress) for lines in sizes.growth]
        return document | {"growth": growth}


def _document(found: dict[str, list[dict[str, Any]]], sizes: Sizes) -> dict[str, object]:
    result: dict[str, object] = {"committed": sizes.committed, "rows": sizes.rows, "rounds": sizes.rounds}
    for name, runs in found.items():
        result[name] = {
            "rows_per_s": median(sizes.rows / run["seconds"] for run in runs),
            "cpu_us": median(run["cpu_s"] / sizes.rows * 1e6 for run in runs),
            "pss": max(run["pss"] for run in runs),
            "rss": max(run["rss"] for run in runs),
        }
    for name, what in (("times", "seconds"), ("cpu_times", "cpu_s")):
        times = ratio(*([run[what] for run in found[side]] for side in (TOLLMETER, DUCKDB)))
        result[name] = {"median": times.median, "low": times.low, "high": times.high}
    result["rollups_s"] = median(run["rollups_s"] for run in found[TOLLMETER])
    result["duplicates"] = found[TOLLMETER][0]["duplicates"]
    line = next(wide_lines(0, 1))
    return result | {"line": {"bytes": len(line), "fields": len(fields_of(line))}}


def _landed(base: Path, raw: Path) -> dict[str, Any]:
    """A run over `raw` in the lake of `base`, which is put back afterwards."""
    kept = base.with_name("kept")
    _copy_tree(base, kept)
    shutil.rmtree(base / "raw")
    shutil.copytree(raw, base / "raw", copy_function=os.link)
    try:
        return _side("etl", base)
    finally:
        shutil.rmtree(base)
        kept.rename(base)


def _copy_tree(source: Path, target: Path) -> None:
    """Data files are never written to again, so they are linked; all else is copied."""

    def copied(old: str, new: str) -> None:
        (os.link if old.endswith((".parquet", ".avro", ".jsonl")) else shutil.copy2)(old, new)

    shutil.copytree(source, target, copy_function=copied)


def _grown(folder: Path, lines: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """One run into an empty lake."""
    progress(f"etl: 1 of the runs into an empty lake, {lines:,} lines")
    home = folder / "growth"
    _write(home / "raw", 0, lines)
    run = _side("etl", home)
    shutil.rmtree(home)
    return {"lines": lines} | {name: run[name] for name in ("seconds", "rollups_s", "pss", "rss")}


def _write(folder: Path, first: int, count: int) -> None:
    write_objects(folder, first, count, max(4, -(-count // _LINES_OF_OBJECT)))


def _side(name: str, path: Path) -> dict[str, Any]:
    run = watched([sys.executable, str(_SIDE), name, str(path)])
    found: dict[str, Any] = json.loads(run.stdout)
    return found | {"pss": run.pss, "rss": run.rss}


def _bytes_per_row(home: Home) -> float:
    """Parquet bytes of a row of `llm_calls`."""
    files = [task.file for task in existing_tables(home)["llm_calls"].scan().plan_files()]
    return sum(file.file_size_in_bytes for file in files) / sum(file.record_count for file in files)
