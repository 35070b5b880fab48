"""The forwarder over a real spool and a real file system."""

from __future__ import annotations

import os
import threading
from collections import Counter
from datetime import UTC, datetime

import pytest
from forwarding import SETTINGS, event_ids, raw_lines, runs, spooled, write

from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.reader import Segment, SpoolReader
from tollmeter.exporters.sinks.base import Sink
from tollmeter.exporters.sinks.memory import MemoryLines, MemorySegments
from tollmeter.exporters.sinks.raw import RawFolder
from tollmeter.model.events import Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings
from tollmeter.model.spool import close_segment


def test_closed_segments_become_objects_and_leave_the_spool(home: Home) -> None:
    ids = write(home, 50)[0] + write(home, 30, service="search")[0]
    report = Forwarder(home, SETTINGS).run_once()
    report.check()
    lines = raw_lines(home)
    assert sorted(event_ids(lines) + event_ids(lines, service="search")) == sorted(ids)
    assert (report.of("raw", "produced"), report.of("raw", "acknowledged"), report.of("raw", "objects")) == (80, 80, 2)
    assert spooled(home) == []
    assert (report.waiting, report.errors) == (0, {})


def test_it_reports_itself_once_and_only_when_something_happened(home: Home) -> None:
    write(home, 5)
    Forwarder(home, SETTINGS).run_once()
    [run] = runs(raw_lines(home))
    assert (run.service, run.component, run.outcome) == ("tollmeter", "forward", "ok")
    assert (run.sink, run.counts) == ("raw", {"produced": 5, "acknowledged": 5, "objects": 1})
    for _ in range(3):
        assert Forwarder(home, SETTINGS).run_once().counts == {}
    assert len(runs(raw_lines(home))) == 1
    assert spooled(home) == []


def test_a_heartbeat_flows_while_nothing_happens_and_feeds_on_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollmeter.exporters.self_report._BUSY_S", 0.05)
    monkeypatch.setattr("tollmeter.exporters.self_report._IDLE_S", 0.4)
    settings = Settings.load({}, forward_interval_s=0.02, segment_max_age_s=0.1)
    stop = threading.Event()
    threading.Timer(1.5, stop.set).start()
    report = Forwarder(home, settings).run(stop)
    told = runs(raw_lines(home))
    assert 2 <= len(told) <= 4
    assert all(run.counts == {} and run.lag_ms == 0.0 for run in told)
    assert report.counts == {}


def test_an_open_segment_is_tailed_by_lines_and_left_to_its_writer_by_raw(home: Home) -> None:
    ids, segment = write(home, 3, close=False)
    memory = MemoryLines()
    forwarder = Forwarder(home, SETTINGS, sinks=[RawFolder(home.raw), memory])
    report = forwarder.run_once()
    assert event_ids(memory.lines) == ids
    assert report.of("raw", "produced") == 0
    assert report.lag_ms["raw"] > 0.0
    assert report.lag_ms["memory"] == 0.0
    os.write(
        segment.fd, encode(Request(event_id=(last := new_event_id()), timestamp=datetime.now(UTC), service="chat"))
    )
    close_segment(segment)
    forwarder.run_once()
    assert event_ids(memory.lines) == [*ids, last]
    assert event_ids(raw_lines(home)) == [*ids, last]
    assert spooled(home) == []


def test_final_takes_only_what_is_closed(home: Home) -> None:
    _, segment = write(home, 3, close=False)
    memory = MemoryLines()
    Forwarder(home, SETTINGS, sinks=[memory]).run_once(final=True)
    assert memory.lines == []
    os.close(segment.fd)
    Forwarder(home, SETTINGS, sinks=[memory]).run_once(final=True)
    assert len(event_ids(memory.lines)) == 3


def test_two_backlogs_are_drained_in_turns(home: Home) -> None:
    ids = [event_id for _ in range(12) for event_id in write(home, 300)[0]]
    memory = MemoryLines()
    report = Forwarder(home, SETTINGS, sinks=[RawFolder(home.raw), memory]).run_once()
    report.check()
    assert Counter(event_ids(memory.lines)) == Counter(ids)
    assert Counter(event_ids(raw_lines(home))) == Counter(ids)
    assert report.of("raw", "objects") == 12


@pytest.mark.parametrize("durable", [True, False])
def test_unreadable_segments_hold_nothing_behind_them_back(home: Home, *, durable: bool) -> None:
    sink: Sink = RawFolder(home.raw) if durable else MemoryLines("raw")
    (home.spool / "chat").mkdir(parents=True)
    for number in range(12):
        (home.spool / "chat" / f"0{number:02}.jsonl").mkdir()
    write(home, 10)
    report = Forwarder(home, SETTINGS, sinks=[sink]).run_once()
    report.check()
    assert (report.of("raw", "acknowledged"), report.of("raw", "unreadable")) == (10, 12)
    assert report.waiting == 12


def test_a_long_backlog_of_small_segments_is_not_listed_anew_for_every_few(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [event_id for _ in range(300) for event_id in write(home, 1)[0]]
    looks, look = [], SpoolReader.segments

    def counted(self: SpoolReader, *, closed_only: bool = False) -> list[Segment]:
        looks.append(self)
        return look(self, closed_only=closed_only)

    monkeypatch.setattr(SpoolReader, "segments", counted)
    durable, lines = MemorySegments(), MemoryLines()
    Forwarder(home, SETTINGS, sinks=[durable, lines]).run_once().check()
    assert event_ids(lines.lines) == ids
    assert event_ids(b"".join(durable.objects.values()).splitlines()) == ids
    assert len(looks) < 30
