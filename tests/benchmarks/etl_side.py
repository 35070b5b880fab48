"""One side of the ETL's benchmark, in a process of its own: `etl HOME` or `duckdb RAW`. Prints one JSON document."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path


def land(home: str) -> dict[str, float]:
    """Ingest what is in a home; the rollups timed apart."""
    from tollmeter.etl import runner
    from tollmeter.model.home import Home

    derive, spent, spent_cpu = runner._derive, 0.0, 0.0

    def timed(*args: object, **options: object) -> object:
        nonlocal spent, spent_cpu
        start, cpu = time.perf_counter(), _cpu_s()
        report = derive(*args, **options)  # type: ignore[arg-type]  # whatever the runner passes
        spent, spent_cpu = spent + time.perf_counter() - start, spent_cpu + _cpu_s() - cpu
        return report

    runner._derive = timed  # type: ignore[assignment]
    start, cpu = time.perf_counter(), _cpu_s()
    report = runner.run(Home(Path(home)))
    seconds, cpu_s = time.perf_counter() - start - spent, _cpu_s() - cpu - spent_cpu
    report.check()
    return {
        "seconds": seconds,
        "cpu_s": cpu_s, "rollups_s": spent, "lines": report.lines, "landed": report.landed,
        "duplicates": report.duplicates,
    }  # fmt: skip


def copy(raw: str) -> dict[str, float]:
    """DuckDB's plain copy to one Parquet file: nothing validated, nothing deduplicated."""
    import duckdb

    with tempfile.TemporaryDirectory(dir=raw) as folder, duckdb.connect() as database:
        start, cpu = time.perf_counter(), _cpu_s()
        database.execute(
            f"COPY (SELECT * FROM read_json_auto('{raw}/**/*.jsonl', format='newline_delimited')) "
            f"TO '{folder}/out.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )
        return {"seconds": time.perf_counter() - start, "cpu_s": _cpu_s() - cpu}


def _cpu_s() -> float:
    """CPU time of this process and of the children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"etl": land, "duckdb": copy}[sys.argv[1]](sys.argv[2])))
