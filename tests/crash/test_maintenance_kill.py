"""Compaction, expiry and vacuum killed at any moment with a run at once: every row stays once, and no file too many."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tollmeter import etl
from tollmeter.etl import plan
from tollmeter.etl.lake import existing_tables
from tollmeter.etl.maintenance.reach import list_files, needed_paths
from tollmeter.model.events import LlmCall, Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("TOLLMETER_KILLS", "3"))
MOMENTS = -(-KILLS // 5)
SEED = int(os.environ.get("TOLLMETER_SEED", "20261125"))
START = datetime(2026, 11, 1, 23, tzinfo=UTC)
EVENTS = 100
FIRST = 4
OBJECTS_A_MOMENT = 2
HOUR_S = 3600.0
EAGER = {"compact_min_files": "2", "snapshot_max_age_s": "1", "snapshot_min_age_s": "1", "vacuum_grace_s": str(HOUR_S)}

# Both touch a file when they begin their work, so that a kill hits the work and not the imports.
RUNS = """
import sys
from pathlib import Path
from tollmeter import etl
from tollmeter.etl import plan
from tollmeter.model.home import Home

plan.MAX_OBJECTS = int(sys.argv[2])
Path(sys.argv[3]).touch()
etl.run(Home(Path(sys.argv[1])))
"""
MAINTAINS = """
import os, signal, sys
from pathlib import Path
from pyarrow.fs import LocalFileSystem
from pyiceberg.catalog.sql import SqlCatalog
from tollmeter import etl
from tollmeter.etl.maintenance import reach
from tollmeter.model.home import Home

home, left = Home(Path(sys.argv[1])), int(sys.argv[2])
commit, storage_of = SqlCatalog.commit_table, reach.storage_of

def count():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def commit_and_count(*args, **kwargs):
    done = commit(*args, **kwargs)
    count()
    return done

class Files(LocalFileSystem):
    def delete_file(self, path):
        super().delete_file(path)
        count()

SqlCatalog.commit_table = commit_and_count
reach.storage_of = lambda table: (Files(), storage_of(table)[1])
Path(sys.argv[3]).touch()
while True:
    etl.compact(home)
    etl.expire(home)
    etl.vacuum(home)
    if left > 0:
        break
"""


def identity(kind: str, n: int) -> dict[str, object]:
    at = START + timedelta(seconds=n * 11 % 7200)
    return {"event_id": imported_event_id(kind, str(n)), "timestamp": at, "service": f"s{n % 2}"}


def put(home: Home, numbers: range) -> None:
    """Objects of calls and requests, half of which the one before has delivered too, and a broken line."""
    home.raw.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        lines = [b"broken\n"]
        for n in range(number * EVENTS // 2, number * EVENTS // 2 + EVENTS):
            lines.append(encode(LlmCall(**identity("kill-call", n), input_tokens=n)))  # type: ignore[arg-type]
            lines.append(encode(Request(**identity("kill-request", n))))  # type: ignore[arg-type]
        (home.raw / f"{number:04}.jsonl").write_bytes(b"".join(lines))


@pytest.fixture
def filled(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A lake of many small files."""
    monkeypatch.setattr(plan, "MAX_OBJECTS", 1)
    for name, value in EAGER.items():
        monkeypatch.setenv(f"TOLLMETER_{name.upper()}", value)
    put(home, range(FIRST))
    etl.run(home)
    return home


def start(script: str, home: Home, argument: int) -> tuple[subprocess.Popen[bytes], Path]:
    begun = home.path / f"begun-{time.monotonic_ns()}"
    arguments = [sys.executable, "-c", script, str(home.path), str(argument), str(begun)]
    return subprocess.Popen(arguments, stderr=subprocess.DEVNULL), begun


def wait_for(process: subprocess.Popen[bytes], begun: Path) -> None:
    deadline = time.monotonic() + 120
    while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def age(home: Home) -> None:
    """Make all files older than the grace: nobody is writing them now."""
    before = time.time() - 2 * HOUR_S
    for path in home.lake.rglob("*"):
        if path.is_file():
            os.utime(path, (before, before))


def check(home: Home, objects: int) -> None:
    """What the lake holds in the end, whatever was killed: the rows once, and the files of those rows alone."""
    report = etl.run(home)
    assert report.holds
    etl.compact(home)
    time.sleep(1.1)  # the age at which a replaced snapshot may go
    etl.expire(home)
    age(home)
    etl.vacuum(home)
    tables = existing_tables(home)
    events = (objects + 1) * EVENTS // 2
    found = {name: table.scan().to_arrow() for name, table in tables.items()}
    assert sorted(found["llm_calls"]["input_tokens"].to_pylist()) == list(range(events))
    assert len(set(found["requests"]["event_id"].to_pylist())) == len(found["requests"]) == events
    assert len(found["quarantine"]) == len(found["ingest_ledger"]) == objects
    assert sum(found["rollup_calls_hourly"]["calls"].to_pylist()) == events
    assert sum(found["rollup_requests_hourly"]["requests"].to_pylist()) == events
    for table in tables.values():
        assert {file.path for file in list_files(table)} == needed_paths(table)


def test_killed_at_any_moment_beside_a_run(filled: Home) -> None:
    moments = random.Random(SEED)
    objects = FIRST
    for moment in range(MOMENTS):
        put(filled, range(objects, objects + OBJECTS_A_MOMENT))
        objects += OBJECTS_A_MOMENT
        age(filled)
        running, run_begun = start(RUNS, filled, 1)
        keeping, keep_begun = start(MAINTAINS, filled, 0)
        wait_for(running, run_begun)
        wait_for(keeping, keep_begun)
        time.sleep(moments.uniform(0, 3))
        keeping.kill()
        if moment % 2:
            running.kill()
        keeping.wait(60)
        running.wait(300)
    check(filled, objects)


def test_killed_right_after_a_commit_or_a_deletion(filled: Home) -> None:
    before = len(existing_tables(filled)["llm_calls"].scan().to_arrow())
    step = 0
    for step in range(1, MOMENTS + 1):
        age(filled)
        process, _ = start(MAINTAINS, filled, moments_of(step))
        code = process.wait(300)
        if code != -signal.SIGKILL:
            assert code == 0
            break
        assert len(existing_tables(filled)["llm_calls"].scan().to_arrow()) == before
    assert step > 1, "nothing was killed"
    check(filled, FIRST)


def moments_of(step: int) -> int:
    """Commits come first, then deletions by the dozen: steps that grow."""
    return step + step * step // 4
