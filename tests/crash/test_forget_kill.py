"""`etl forget` killed at any moment: a second one ends with the proof, nobody else's row is lost, and nothing lands."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tollmeter import etl
from tollmeter.etl.forgetting.subject import Subject
from tollmeter.etl.lake import existing_tables
from tollmeter.etl.maintenance.reach import list_files, needed_paths
from tollmeter.model.events import Evaluation, LlmCall, Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("TOLLMETER_KILLS", "3"))
MOMENTS = -(-KILLS // 5)
SEED = int(os.environ.get("TOLLMETER_SEED", "20261126"))
START = datetime(2026, 11, 1, 23, tzinfo=UTC)
ANN = "ann-4711"
EVENTS = 60
EVENTS_OF_A_FORGET = 60
"""About as many commits, raw objects and deleted files as one forget makes here."""

# Dies right after its n-th commit, raw object or deleted file: the worst moments there are.
FORGETS = """
import os, signal, sys
from pathlib import Path
from pyarrow.fs import LocalFileSystem
from pyiceberg.catalog.sql import SqlCatalog
from tollmeter import etl
from tollmeter.etl.forgetting.subject import Subject
from tollmeter.etl.maintenance import reach
from tollmeter.etl.raw_places.folder import FolderRaw
from tollmeter.model.home import Home

left, storage_of = int(sys.argv[2]), reach.storage_of

def counted(method):
    def call(*args, **kwargs):
        global left
        done = method(*args, **kwargs)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return call

class Files(LocalFileSystem):
    delete_file = counted(LocalFileSystem.delete_file)

SqlCatalog.commit_table = counted(SqlCatalog.commit_table)
FolderRaw.replace, FolderRaw.delete = counted(FolderRaw.replace), counted(FolderRaw.delete)
reach.storage_of = lambda table: (Files(), storage_of(table)[1])
Path(sys.argv[3]).touch()
etl.forget(Home(Path(sys.argv[1])), Subject("user_id", "ann-4711"))
"""


def user(n: int) -> str:
    return ANN if n % 3 == 0 else f"user-{n % 3}"


def lines(numbers: range) -> bytes:
    """A call, its request and its evaluation for each number, and broken lines of both."""
    found = [b"broken\n", b'{"kind":"llm_call","user_id":"ann-4711","input_tokens":-1}\n']
    for n in numbers:
        shared: dict[str, Any] = {"timestamp": START + timedelta(minutes=n), "service": "s"}
        ids = {kind: imported_event_id(kind, str(n)) for kind in ("call", "request", "eval")}
        found.append(encode(LlmCall(event_id=ids["call"], user_id=user(n), input_tokens=n, **shared)))
        found.append(encode(Request(event_id=ids["request"], user_id=user(n), **shared)))
        found.append(encode(Evaluation(event_id=ids["eval"], call_id=ids["call"], name="x", score=1.0, **shared)))
    return b"".join(found)


@pytest.fixture
def filled(home: Home) -> Home:
    """Objects of a closed hour, one of them with nothing but what goes, and one of no hour."""
    hour = home.raw / "dt=2026-11-03" / "hour=07"
    hour.mkdir(parents=True)
    (hour / "a.jsonl.zst").write_bytes(pa.compress(lines(range(EVENTS // 2)), "zstd", asbytes=True))
    (hour / "gone.jsonl").write_bytes(encode(LlmCall(event_id="x", timestamp=START, service="s", user_id=ANN)))
    (home.raw / "b.jsonl").write_bytes(lines(range(EVENTS // 2, EVENTS)))
    assert etl.run(home).holds
    return home


def start(home: Home, left: int) -> tuple[subprocess.Popen[bytes], Path]:
    begun = home.path / f"begun-{time.monotonic_ns()}"
    return subprocess.Popen([sys.executable, "-c", FORGETS, str(home.path), str(left), str(begun)]), begun


def check(home: Home) -> None:
    """What is left in the end, whatever was killed."""
    between = etl.run(home)  # the scheduler knows nothing of a forget that was killed
    assert (between.landed, between.quarantined, between.holds) == (0, 0, True)
    report = etl.forget(home, Subject("user_id", ANN))
    assert report.is_gone, report.found
    after = etl.run(home)
    assert (after.landed, after.quarantined, after.holds) == (0, 0, True)
    assert etl.run(home).objects == 0
    tables = existing_tables(home)
    rows = {name: table.scan().to_arrow() for name, table in tables.items()}
    others = [n for n in range(EVENTS) if user(n) != ANN]
    assert sorted(rows["llm_calls"]["input_tokens"].to_pylist()) == others
    assert len(rows["requests"]) == len(rows["evaluations"]) == len(others)
    assert rows["quarantine"]["raw_text"].to_pylist() == ["broken"] * 2
    assert sum(rows["rollup_calls_hourly"]["calls"].to_pylist()) == len(others)
    assert sum(rows["rollup_requests_hourly"]["requests"].to_pylist()) == len(others)
    assert len(rows["tombstones"]) == 1
    assert {path.name for path in home.raw.rglob("*") if path.is_file()} == {"a.jsonl.zst", "b.jsonl"}
    for table in tables.values():
        assert {file.path for file in list_files(table)} == needed_paths(table)


def test_killed_right_after_a_commit_an_object_or_a_deletion(filled: Home) -> None:
    moments, killed = random.Random(SEED), 0
    for _ in range(MOMENTS):
        process, _ = start(filled, moments.randrange(1, EVENTS_OF_A_FORGET // 2))
        code = process.wait(300)
        killed += code == -signal.SIGKILL
        if code != -signal.SIGKILL:
            assert code == 0
            break
    assert killed, "nothing was killed"
    check(filled)


def test_killed_at_any_moment(filled: Home) -> None:
    moments = random.Random(SEED + 1)
    for _ in range(MOMENTS):
        process, begun = start(filled, 0)
        deadline = time.monotonic() + 120
        while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 3))
        process.kill()
        process.wait(60)
    check(filled)
