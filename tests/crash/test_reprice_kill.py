"""`etl reprice` killed at any moment: the next run makes the very same changes, each of them once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tollmeter import etl
from tollmeter.etl.lake import BATCH_PROPERTY, existing_tables
from tollmeter.model.events import LlmCall, Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id
from tollmeter.pricing.book import PriceBook
from tollmeter.pricing.overlay_file import parse_overlay
from tollmeter.pricing.table import read_table

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("TOLLMETER_KILLS", "3"))
KILLS_A_RUN = 3
SEED = int(os.environ.get("TOLLMETER_SEED", "20261124"))
START = datetime(2026, 11, 1, 23, 50, tzinfo=UTC)
CALLS = 1200
OLD, NEW = Decimal("0.0025"), Decimal("0.001")
OVERLAY = """
currency: USD
prices:
  - {name: own, provider: openai, model: gpt-4o, valid_from: 2026-01-01, prices: {input_mtok: 1}}
"""

# The process dies right after its n-th commit, before it can remember it: the worst moment there is.
DIES_AFTER_COMMITS = """
import os, signal, sys
from datetime import date
from pathlib import Path
from pyiceberg.catalog.sql import SqlCatalog
from tollmeter import etl
from tollmeter.model.home import Home
from tollmeter.pricing.book import PriceBook
from tollmeter.pricing.overlay_file import parse_overlay
from tollmeter.pricing.table import read_table

left, commit = int(sys.argv[2]), SqlCatalog.commit_table

def commit_and_die(*args, **kwargs):
    global left
    done = commit(*args, **kwargs)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

SqlCatalog.commit_table = commit_and_die
book = PriceBook(read_table(), parse_overlay(sys.argv[3], "acme.yaml"))
etl.reprice(Home(Path(sys.argv[1])), book, since=date(2026, 11, 1))
"""


def start(home: Home, commits: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", DIES_AFTER_COMMITS, str(home.path), str(commits), OVERLAY])


def finish(home: Home) -> None:
    book = PriceBook(read_table(), parse_overlay(OVERLAY, "acme.yaml"))
    etl.reprice(home, book, since=date(2026, 11, 1))
    assert etl.reprice(home, book, since=date(2026, 11, 1)).calls == 0


def lines() -> list[bytes]:
    """A call a second, from before midnight to after it, and the request of each."""
    found = []
    for n in range(CALLS):
        shared: dict[str, Any] = {"timestamp": START + timedelta(seconds=n), "service": "s", "request_id": f"r{n}"}
        found.append(
            encode(
                LlmCall(
                    event_id=imported_event_id("reprice-kill-call", str(n)),
                    provider="openai",
                    request_model="gpt-4o",
                    input_tokens=1000,
                    output_tokens=0,
                    usage_source="reported",
                    cost_usd=OLD,
                    cost_status="priced",
                    **shared,
                )
            )
        )
        found.append(
            encode(
                Request(event_id=imported_event_id("reprice-kill-request", str(n)), llm_calls=1, cost_usd=OLD, **shared)
            )
        )
    return found


@pytest.fixture
def priced(home: Home) -> Home:
    """A lake of two days, priced by the list."""
    home.raw.mkdir(parents=True)
    (home.raw / "a.jsonl").write_bytes(b"".join(lines()))
    etl.run(home)
    return home


def check(home: Home) -> None:
    """What the lake must hold, however often the run was killed."""
    tables = existing_tables(home)
    found = {name: table.scan().to_arrow().to_pylist() for name, table in tables.items()}
    for name in ("llm_calls", "requests"):
        assert Counter(row["cost_usd"] for row in found[name]) == {NEW: CALLS}, name
        assert len({row["event_id"] for row in found[name]}) == CALLS
    assert sum(row["cost_usd"] for row in found["rollup_calls_hourly"]) == NEW * CALLS
    assert sum(row["calls"] for row in found["rollup_calls_hourly"]) == CALLS
    assert Counter(row["component"] for row in found["runs"]) == {"etl": 1, "reprice": 1}
    for name in ("llm_calls", "requests"):
        marks = Counter(s.summary.additional_properties[BATCH_PROPERTY] for s in tables[name].snapshots() if s.summary)
        assert set(marks.values()) == {1}
        assert len(marks) == 1 + 2


@pytest.mark.full
def test_killed_right_after_each_commit(priced: Home) -> None:
    for commits in range(1, KILLS + 1):
        if start(priced, commits).wait(120) != -signal.SIGKILL:
            break
    finish(priced)
    check(priced)


@pytest.mark.parametrize("turn", range(-(-KILLS // KILLS_A_RUN)))
def test_killed_at_any_moment(priced: Home, turn: int) -> None:
    seed = SEED + turn
    moments = random.Random(seed)
    folder = priced.state / "etl" / "reprice"
    for _ in range(KILLS_A_RUN):
        process = start(priced, -1)
        deadline = time.monotonic() + 60
        while not folder.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 1.5))
        process.kill()
        process.wait(60)
    finish(priced)
    check(priced)
