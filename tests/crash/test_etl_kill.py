"""`etl run` killed at any moment: the next run finishes the batch, and every row is there once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aws_lake import lake_on_aws

from tollmeter import etl
from tollmeter.etl.lake import BATCH_PROPERTY, existing_tables
from tollmeter.etl.plan import PLANS
from tollmeter.model.events import LlmCall, Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id
from tollmeter.sql.places import open_place

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("TOLLMETER_KILLS", "3"))
KILLS_A_BATCH = 5
TURNS = {"folder": -(-KILLS // KILLS_A_BATCH), "s3": -(-KILLS // (4 * KILLS_A_BATCH))}
"""A run against S3 takes several times as long, so it is killed a quarter as often."""
SEED = int(os.environ.get("TOLLMETER_SEED", "20261123"))
START = datetime(2026, 11, 1, 23, tzinfo=UTC)
EVENTS = 3000

# The process dies right after its n-th commit, before it can remember it: the worst moment there is.
DIES_AFTER_COMMITS = """
import os, signal, sys
from pathlib import Path
from tollmeter import etl
from tollmeter.etl import plan
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

if os.environ.get("TOLLMETER_LAKE_URL"):
    from tollmeter.sql.catalogs.glue import CommitOnceCatalog as Catalog
else:
    from pyiceberg.catalog.sql import SqlCatalog as Catalog

left, commit = int(sys.argv[2]), Catalog.commit_table
plan.SLICE_LINES, plan.PART_SLICES = 2000, 1

def commit_and_die(*args, **kwargs):
    global left
    done = commit(*args, **kwargs)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

Catalog.commit_table = commit_and_die
etl.run(Home.resolve(Path(sys.argv[1])))
"""


def start(home: Home, commits: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", DIES_AFTER_COMMITS, str(home.path), str(commits)])


def call(n: int) -> bytes:
    identity = {
        "event_id": imported_event_id("kill-call", str(n)),
        "timestamp": START + timedelta(seconds=n),
        "service": "s",
    }
    return encode(LlmCall(**identity, input_tokens=n, latency_ms=1.0))  # type: ignore[arg-type]


def request(n: int) -> bytes:
    identity = {"event_id": imported_event_id("kill-request", str(n)), "timestamp": START, "service": "s"}
    return encode(Request(**identity))  # type: ignore[arg-type]


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.full)])
def place(request: pytest.FixtureRequest, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home whose lake is in a folder, or on S3 and Glue; what is started for it finds it by the environment."""
    if request.param == "folder":
        yield home
        return
    with lake_on_aws(home.path.parent, monkeypatch) as aws:
        monkeypatch.setenv("TOLLMETER_LAKE_URL", aws.home.place.url)
        yield aws.home


@pytest.fixture
def filled(place: Home) -> Home:
    """A lake with some rows, and objects that repeat them, bring new ones, and hold broken lines."""
    home = place
    put(home, "a.jsonl", [call(n) for n in range(EVENTS // 3)])
    etl.run(home)
    put(home, "b.jsonl", [line for n in range(EVENTS // 2) for line in (call(n), request(n))])
    put(home, "c.jsonl", [b"broken\n", *(call(n) for n in range(EVENTS)), b"broken\n", call(0)])
    return home


def put(home: Home, name: str, lines: list[bytes]) -> None:
    home.raw.mkdir(parents=True, exist_ok=True)
    (home.raw / name).write_bytes(b"".join(lines))


def check(home: Home) -> None:
    """What the lake must hold, however often the run was killed."""
    found = {name: table.scan().to_arrow().to_pylist() for name, table in existing_tables(home).items()}
    assert sorted(row["input_tokens"] for row in found["llm_calls"]) == list(range(EVENTS))
    assert len({row["event_id"] for row in found["requests"]}) == len(found["requests"]) == EVENTS // 2
    assert sorted((row["object_key"], row["line_number"]) for row in found["quarantine"]) == [
        ("c.jsonl", 1),
        ("c.jsonl", EVENTS + 2),
    ]
    ledger = {row["object_key"]: row for row in found["ingest_ledger"]}
    assert len(ledger) == len(found["ingest_ledger"]) == 3
    lines = {"a.jsonl": EVENTS // 3, "b.jsonl": EVENTS, "c.jsonl": EVENTS + 3}
    assert {key: row["lines"] for key, row in ledger.items()} == lines
    assert sum(row["landed"] for row in ledger.values()) == EVENTS + EVENTS // 2
    assert all(row["lines"] == row["landed"] + row["duplicates"] + row["quarantined"] for row in ledger.values())
    assert sum(row["calls"] for row in found["rollup_calls_hourly"]) == EVENTS
    assert sum(row["requests"] for row in found["rollup_requests_hourly"]) == EVENTS // 2
    assert len(found["runs"]) == 2


def batches(home: Home) -> dict[str, Counter[Any]]:
    """How often each batch was committed to each table."""
    return {
        name: Counter(
            s.summary.additional_properties.get(BATCH_PROPERTY) for s in table.metadata.snapshots if s.summary
        )
        for name, table in existing_tables(home).items()
        if not name.startswith("rollup")
    }


def test_killed_right_after_a_commit(filled: Home) -> None:
    for commits in range(1, max(1, KILLS // (4 if filled.place.url else 2)) + 1):
        if start(filled, commits).wait(120) != -signal.SIGKILL:
            break
    report = etl.run(filled)
    assert report.holds
    check(filled)
    assert {count for counts in batches(filled).values() for count in counts.values()} == {1}


@pytest.mark.parametrize(
    ("place", "turn"),
    [
        pytest.param(kind, turn, marks=[pytest.mark.full] if kind == "s3" else [])
        for kind, turns in TURNS.items()
        for turn in range(turns)
    ],
    indirect=["place"],
)
def test_killed_at_any_moment(filled: Home, turn: int) -> None:
    seed = SEED + turn
    moments = random.Random(seed)
    # A few kills to a batch: once it has landed, further ones would hit a run with nothing to do.
    for _ in range(KILLS_A_BATCH):
        process = start(filled, -1)
        wait_for_plan(filled, process)
        time.sleep(moments.uniform(0, 1.5))
        process.kill()
        process.wait(60)
    etl.run(filled)
    check(filled)
    assert {count for counts in batches(filled).values() for count in counts.values()} == {1}, f"seed {seed}"


def wait_for_plan(home: Home, process: subprocess.Popen[bytes]) -> None:
    state, deadline = open_place(home).state(), time.monotonic() + 60
    while not state.names(PLANS) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
