"""The forwarder ended at random points, its writers killed with it: every whole line arrives, none twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import zstandard

from tollmeter.exporters.cursor import Cursors
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.sinks.base import Sink
from tollmeter.exporters.sinks.raw import RawFolder
from tollmeter.exporters.sinks.stdout import StdoutLogs
from tollmeter.model.events import decode
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

KILLS = int(os.environ.get("TOLLMETER_KILLS", "3"))
SEED = int(os.environ.get("TOLLMETER_SEED", "20260301"))
COMMAND = (sys.executable, "-m", "tollmeter.cli.main", "forward", "--sink", "raw", "--sink", "stdout")
WRITER = """
import os, sys, time
from pathlib import Path
from tollmeter.model.events import Request, encode, utc_now
from tollmeter.model.ids import new_event_id
from tollmeter.model.spool import close_segment, create_segment, service_folder
while True:
    segment = create_segment(service_folder(Path(sys.argv[1]), "chat"))
    for number in range(150):
        event = Request(event_id=new_event_id(), timestamp=utc_now(), service="chat", user_id="u" * (number % 50))
        line = encode(event)
        os.write(segment.fd, line[:40])
        os.write(segment.fd, line[40:])
        os.write(1, (event.event_id + "\\n").encode())
        time.sleep(0.0005)
    close_segment(segment)
"""


class Writers:
    """Two processes that append and rotate all the time; each tells what it has written, after it has."""

    def __init__(self, home: Home, folder: Path) -> None:
        self._home, self._folder = home, folder
        self._running: list[subprocess.Popen[bytes]] = []
        self._logs: list[Path] = []

    def start(self) -> None:
        for _ in range(2):
            log = self._folder / f"written-{len(self._logs)}"
            with log.open("wb") as file:
                command = [sys.executable, "-c", WRITER, str(self._home.spool)]
                self._running.append(subprocess.Popen(command, stdout=file))
            self._logs.append(log)

    def kill(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()
        self._running.clear()

    @property
    def killed(self) -> int:
        return len(self._logs)

    def written(self) -> set[str]:
        return {line for log in self._logs for line in log.read_text().split("\n")[:-1]}


def ended_at_random(home: Home, logs: Path, random: Random, how: signal.Signals) -> None:
    """Start a forwarder, and end it some time after it began to work."""
    marker = home.state / "forward" / "lock"
    before = marker.read_bytes() if marker.exists() else b""
    env = os.environ | {"TOLLMETER_FORWARD_GRACE_S": "0.3"}
    with logs.open("ab") as file:
        process = subprocess.Popen([*COMMAND, "--home", home.path], stdout=file, stderr=subprocess.DEVNULL, env=env)
    while not marker.exists() or marker.read_bytes() in (before, b""):
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(random.uniform(0.0, 0.25))
    process.send_signal(how)
    process.wait(20)


def raw_ids(home: Home) -> list[str]:
    objects = list(home.raw.glob("dt=*/hour=*/*.jsonl.zst"))
    names = Counter(path.name for path in objects)
    assert max(names.values()) == 1, "a segment lies under two hours"
    events = [decode(line) for path in objects for line in zstandard.decompress(path.read_bytes()).splitlines()]
    return [event.event_id for event in events if event.service == "chat"]


def logged_ids(logs: Path) -> list[str]:
    records = []
    for line in logs.read_bytes().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:  # cut off by a kill, or glued to what was
            continue
    return [record["event_id"] for record in records if record["service"] == "chat"]


@pytest.mark.crash
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_every_whole_line_arrives_exactly_once(home: Home, tmp_path: Path, how: signal.Signals) -> None:
    random, logs = Random(SEED), tmp_path / "logs.jsonl"
    writers = Writers(home, tmp_path)
    try:
        writers.start()
        for kill in range(KILLS):
            ended_at_random(home, logs, random, how)
            if kill % 3 == 1:
                writers.kill()
                writers.start()
    finally:
        writers.kill()
    with logs.open("ab", buffering=0) as file:
        sinks: list[Sink] = [RawFolder(home.raw), StdoutLogs(file.fileno())]
        report = Forwarder(home, Settings.load({}), sinks=sinks).run_once()
    report.check()
    assert report.errors == {}

    arrived, written = raw_ids(home), writers.written()
    assert len(written) > 300
    assert max(Counter(arrived).values()) == 1
    assert written <= set(arrived)
    assert len(set(arrived) - written) <= writers.killed, "at most the line each writer had not told of yet"
    left = list(home.spool.glob("*/*"))
    # Of a writer killed between creating a segment and naming it: nothing is in it, and an hour later it is swept.
    unborn = [path for path in left if path.suffix == ".new" and path.stat().st_size == 0]
    assert left == unborn
    assert len(unborn) <= writers.killed
    assert list(home.raw.rglob(".*")) == []

    cursors = Cursors(home.state / "forward" / "cursors.sqlite")
    totals = cursors.totals()
    cursors.close()
    assert totals["raw.acknowledged"] == totals["raw.produced"] == len(arrived)
    assert totals["stdout.produced"] == len(arrived)
    in_doubt = totals.get("stdout.in_doubt", 0)
    assert totals["stdout.acknowledged"] + in_doubt == len(arrived)
    logged = Counter(logged_ids(logs))
    assert max(logged.values()) == 1, "a lossy sink never sends twice"
    assert totals["stdout.acknowledged"] <= len(logged) + KILLS
    assert len(logged) <= totals["stdout.acknowledged"] + in_doubt
