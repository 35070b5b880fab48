"""Sinks that fail, hang, hold lines or lag behind: none holds another back, and every line is accounted for."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from forwarding import SETTINGS, event_ids, raw_lines, runs, spooled, write

from tollmeter.exporters.cursor import Cursors, cursor_file
from tollmeter.exporters.feed import LineFeed
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.reader import SpoolReader
from tollmeter.exporters.sinks.base import Receipt
from tollmeter.exporters.sinks.memory import MemoryLines, MemorySegments
from tollmeter.exporters.sinks.raw import RawFolder
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings


def test_a_sink_that_is_down_holds_no_other_back_and_gets_everything_later(home: Home) -> None:
    ids = write(home, 10)[0]
    down = MemoryLines("down")
    down.failure = ConnectionError("refused")
    report = Forwarder(home, SETTINGS, sinks=[down, RawFolder(home.raw)]).run_once()
    assert event_ids(raw_lines(home)) == ids
    assert report.errors == {"down": "ConnectionError: refused"}
    assert report.of("down", "errors") == 1
    assert len([name for name in spooled(home) if name.endswith(".jsonl")]) == 2, "kept for the sink that is down"
    told = {run.sink: run for run in runs(raw_lines(home))}
    assert (told["raw"].outcome, told["raw"].counts["acknowledged"]) == ("ok", 10)
    assert (told["down"].outcome, told["down"].error_type) == ("error", "ConnectionError")
    assert told["down"].counts["waiting_bytes"] == sum(path.stat().st_size for path in (home.spool / "chat").iterdir())
    assert told["down"].lag_ms
    assert told["down"].lag_ms > 0

    down.failure = None
    report = Forwarder(home, SETTINGS, sinks=[down, RawFolder(home.raw)]).run_once()
    report.check()
    assert event_ids(down.lines) == ids
    assert event_ids(raw_lines(home)) == ids, "and raw has nothing twice"
    assert spooled(home) == []


def test_a_failing_sink_is_left_alone_for_a_while(home: Home) -> None:
    write(home, 1)
    attempts = []

    class Down(MemoryLines):
        def send(self, lines: list[bytes]) -> Receipt:
            attempts.append(time.monotonic())
            raise ConnectionError

    stop = threading.Event()
    threading.Timer(1.2, stop.set).start()
    Forwarder(home, SETTINGS, sinks=[Down(), MemorySegments()]).run(stop, grace_s=0.1)
    assert 2 <= len(attempts) <= 3
    assert attempts[1] - attempts[0] >= 0.5


def test_a_durable_sink_that_is_down_keeps_every_segment(home: Home) -> None:
    ids = write(home, 10)[0]
    durable, lines = MemorySegments(), MemoryLines()
    durable.failure = OSError("down")
    settings = Settings.load({}, sink_max_lag_s=0.001)
    report = Forwarder(home, settings, sinks=[durable, lines]).run_once()
    assert report.errors == {"memory_segments": "OSError: down"}
    assert event_ids(lines.lines) == ids
    durable.failure = None
    Forwarder(home, settings, sinks=[durable, lines]).run_once()
    assert event_ids(b"".join(durable.objects.values()).splitlines()) == ids
    assert event_ids(lines.lines) == ids
    assert spooled(home) == []


def test_a_sink_beyond_its_lag_is_passed_over_and_what_it_missed_is_counted(home: Home) -> None:
    write(home, 10)
    down = MemoryLines("down")
    down.failure = ConnectionError("refused")
    settings = Settings.load({}, sink_max_lag_s=0.001)
    time.sleep(0.01)
    report = Forwarder(home, settings, sinks=[down, RawFolder(home.raw)]).run_once()
    report.check()
    assert (report.of("down", "produced"), report.of("down", "dropped")) == (10, 10)
    assert report.of("down", "dropped_late") == 10
    assert len(event_ids(raw_lines(home))) == 10
    assert not (home.spool / "chat").exists() or list((home.spool / "chat").iterdir()) == []


def test_a_partly_taken_batch_goes_on_where_it_stopped(home: Home) -> None:
    ids = write(home, 10)[0]

    class Picky(MemoryLines):
        def send(self, lines: list[bytes]) -> Receipt:
            self.lines += lines[:3]
            return Receipt(acknowledged=2, drops={"invalid": 1}, error="full")

    sink = Picky()
    for _ in range(4):
        Forwarder(home, SETTINGS, sinks=[sink]).run_once()
    assert event_ids(sink.lines)[:9] == ids[:9]


def test_a_backlog_is_not_late_for_a_sink_that_works(home: Home) -> None:
    ids = [event_id for _ in range(20) for event_id in write(home, 2)[0]]
    time.sleep(0.3)
    memory = MemoryLines()
    report = Forwarder(home, Settings.load({}, sink_max_lag_s=0.25), sinks=[memory]).run_once()
    assert event_ids(memory.lines) == ids
    assert report.of("memory", "dropped") == 0


def test_lines_whose_receipt_could_not_be_noted_are_in_doubt_and_not_sent_again(home: Home) -> None:
    write(home, 10)
    state = cursor_file(home)
    stop = threading.Event()

    def mend() -> None:
        with closing(sqlite3.connect(state)) as db:
            db.execute("DROP TRIGGER full")
        threading.Timer(2.0, stop.set).start()

    class Breaks(MemoryLines):
        def send(self, lines: list[bytes]) -> Receipt:
            with closing(sqlite3.connect(state)) as db:
                db.execute("CREATE TRIGGER full BEFORE INSERT ON positions BEGIN SELECT RAISE(FAIL, 'full'); END")
            threading.Timer(0.2, mend).start()
            return super().send(lines)

    sink = Breaks()
    report = Forwarder(home, SETTINGS, sinks=[sink]).run(stop)
    report.check()
    assert len(event_ids(sink.lines)) == 10
    assert (report.of("memory", "in_doubt"), report.of("memory", "acknowledged")) == (10, 0)


class Holding(MemoryLines):
    """Keeps two lines of each batch back until it is flushed for good."""

    def __init__(self) -> None:
        super().__init__("holding")
        self.held = 0

    def send(self, lines: list[bytes]) -> Receipt:
        self.lines += lines
        if len(lines) == 1:  # the forwarder's own
            return Receipt(acknowledged=1)
        self.held += 2
        return Receipt(acknowledged=len(lines) - 2, held=2)

    def flush(self, *, final: bool) -> Receipt:
        if not final or self.failure or not self.held:
            return Receipt(acknowledged=0)
        released, self.held = self.held, 0
        return Receipt(acknowledged=released - 1, drops={"sampled": 1}, held=-released)


def test_lines_that_are_held_are_settled_when_they_are_flushed(home: Home) -> None:
    write(home, 10)
    report = Forwarder(home, SETTINGS, sinks=[Holding()]).run_once()
    report.check()
    assert [report.of("holding", what) for what in ("produced", "acknowledged", "dropped", "dropped_sampled")] == [
        10, 9, 1, 1,
    ]  # fmt: skip
    assert report.held == {}


def test_a_sink_whose_held_lines_are_shipped_at_last_has_recovered(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollmeter.exporters.feed._FIRST_PAUSE_S", 0.0)

    class Recovering(Holding):
        def flush(self, *, final: bool) -> Receipt:
            if self.failure:
                self.failure = None
                return Receipt(acknowledged=0, error="not yet")
            return super().flush(final=final)

    sink, cursors = Recovering(), Cursors(tmp_path / "cursors.sqlite")
    feed = LineFeed(sink, cursors)
    write(home, 10)
    segments = SpoolReader(home.spool).segments(closed_only=True)
    sink.failure = ConnectionError()
    assert not feed.turn(segments, hurry=True)
    assert feed.error == "not yet"
    assert not feed.turn(segments, hurry=True)
    assert feed.error == ""
    assert cursors.held() == {}
    cursors.close()


def test_lines_still_held_at_the_end_or_at_a_kill_are_in_doubt(home: Home) -> None:
    write(home, 10)
    sink = Holding()
    sink.failure = ConnectionError()
    report = Forwarder(home, SETTINGS, sinks=[sink]).run_once()
    report.check()
    assert (report.of("holding", "acknowledged"), report.of("holding", "in_doubt")) == (8, 2)
    assert len(event_ids(sink.lines)) == 10
    assert spooled(home) == []


def test_a_sink_that_hangs_holds_nobody_back(home: Home) -> None:
    release = threading.Event()

    class Hangs(MemoryLines):
        def send(self, lines: list[bytes]) -> Receipt:
            release.wait(20)
            return super().send(lines)

    first = write(home, 5)[0]
    hanging, memory, stop = Hangs("hanging"), MemoryLines(), threading.Event()
    reports = []
    forwarder = Forwarder(home, SETTINGS, sinks=[hanging, memory])
    thread = threading.Thread(target=lambda: reports.append(forwarder.run(stop)))
    thread.start()
    deadline = time.monotonic() + 10
    while len(event_ids(memory.lines)) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    second = write(home, 5)[0]
    while len(event_ids(memory.lines)) < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert event_ids(memory.lines) == first + second
    assert hanging.lines == []
    release.set()
    while len(event_ids(hanging.lines)) < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    thread.join()
    assert event_ids(hanging.lines) == first + second
    reports[0].check()


def test_a_sink_that_hangs_at_the_end_is_left_in_doubt_within_the_grace(home: Home) -> None:
    release = threading.Event()

    class Hangs(MemoryLines):
        def send(self, lines: list[bytes]) -> Receipt:
            release.wait(120)
            return super().send(lines)

    write(home, 5)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    sink = Hangs("hanging")
    report = Forwarder(home, SETTINGS, sinks=[sink]).run(stop, grace_s=0.5)
    report.check()
    assert sink.lines == [], "it did not wait for the sink"
    report = Forwarder(home, SETTINGS, sinks=[MemoryLines("hanging")]).run_once()
    report.check()
    assert report.of("hanging", "produced") == 0, "passed as in doubt when the state was opened again"
    release.set()


def test_a_sink_that_pays_per_batch_is_fed_at_intervals(home: Home) -> None:
    batches: list[int] = []

    class Slow(MemoryLines):
        interval_s = 0.6

        def send(self, lines: list[bytes]) -> Receipt:
            batches.append(len(lines))
            return super().send(lines)

    stop = threading.Event()
    thread = threading.Thread(target=Forwarder(home, SETTINGS, sinks=[Slow()]).run, args=(stop,))
    thread.start()
    for _ in range(10):
        write(home, 1)
        time.sleep(0.1)
    stop.set()
    thread.join()
    assert sum(batches) >= 10
    assert len(batches) <= 14, "each own segment is a batch of its own"


def test_segments_of_two_durable_sinks_have_keys_of_their_own(home: Home) -> None:
    ids = write(home, 3)[0]
    other = MemorySegments()
    Forwarder(home, SETTINGS, sinks=[RawFolder(home.raw), other]).run_once()
    assert event_ids(raw_lines(home)) == ids
    assert event_ids(b"".join(other.objects.values()).splitlines()) == ids
    assert all("hour=" not in key for key in other.objects)
