"""The forwarder over a real spool, real processes and a real file system."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from tollmeter.exporters.cursor import Cursors, cursor_file
from tollmeter.exporters.feed import LineFeed
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.lock import lock_file
from tollmeter.exporters.reader import Segment, SpoolReader
from tollmeter.exporters.sinks.base import Receipt, Sink
from tollmeter.exporters.sinks.memory import MemoryLines, MemorySegments
from tollmeter.exporters.sinks.raw import RawFolder
from tollmeter.model.errors import LockedError, TransientError
from tollmeter.model.events import Request, Run, decode, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings
from tollmeter.model.spool import OpenSegment, close_segment, create_segment, service_folder

COMMAND = (sys.executable, "-m", "tollmeter.cli.main", "forward")
SETTINGS = Settings.load({}, forward_interval_s=0.05)
WRITER = """
import os, sys, time
from pathlib import Path
from tollmeter.model.events import Request, encode, utc_now
from tollmeter.model.ids import new_event_id
from tollmeter.model.spool import create_segment, service_folder
segment = create_segment(service_folder(Path(sys.argv[1]), "chat"))
for _ in range(int(sys.argv[2])):
    event = Request(event_id=new_event_id(), timestamp=utc_now(), service="chat", duration_ms=1.0)
    os.write(segment.fd, encode(event))
    print(event.event_id, flush=True)
os.write(segment.fd, b'{"kind":"request","event_id":"to')
time.sleep(60)
"""


def write(home: Home, count: int, *, service: str = "chat", close: bool = True) -> tuple[list[str], OpenSegment]:
    segment = create_segment(service_folder(home.spool, service))
    ids = [new_event_id() for _ in range(count)]
    for event_id in ids:
        os.write(segment.fd, encode(Request(event_id=event_id, timestamp=datetime.now(UTC), service=service)))
    if close:
        close_segment(segment)
    return ids, segment


def raw_lines(home: Home) -> list[bytes]:
    objects = sorted(home.raw.glob("dt=*/hour=*/*.jsonl.zst"))
    return [line for path in objects for line in zstandard.decompress(path.read_bytes()).splitlines()]


def event_ids(lines: Iterable[bytes], *, service: str = "chat") -> list[str]:
    return [event.event_id for event in map(decode, lines) if event.service == service]


def runs(lines: Iterable[bytes]) -> list[Run]:
    return [event for event in map(decode, lines) if isinstance(event, Run)]


def spooled(home: Home) -> list[str]:
    return [path.name for path in home.spool.glob("*/*")]


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


def test_a_killed_writer_loses_its_torn_line_only_and_that_is_counted(home: Home) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(home.spool), "40"], stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    ids = [writer.stdout.readline().strip() for _ in range(40)]
    time.sleep(0.1)
    assert Forwarder(home, SETTINGS).run_once().counts == {}, "its writer lives"
    writer.kill()
    writer.wait()
    writer.stdout.close()
    report = Forwarder(home, SETTINGS).run_once()
    assert event_ids(raw_lines(home)) == ids
    assert report.counts["torn_lines"] == 1
    assert report.counts["torn_bytes"] == 32
    assert report.counts["segments_adopted"] == 1


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


def test_killed_after_the_upload_the_next_run_stores_nothing_under_a_later_hour(home: Home) -> None:
    ids = write(home, 10)[0]
    script = f"""
import os
from pathlib import Path
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.lock import lock_file
from tollmeter.exporters.reader import Segment, SpoolReader
from tollmeter.exporters.sinks.raw import RawFolder
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
class Dies(RawFolder):
    def key_for(self, segment_id, now):
        return f"dt=2020-01-01/hour=03/{{segment_id}}.jsonl.zst"
    def store(self, source, key):
        super().store(source, key)
        (self._root / key).with_name(f".{{Path(key).name}}.tmp").hardlink_to(self._root / key)
        os._exit(9)
home = Home(Path({str(home.path)!r}))
Forwarder(home, Settings.load({{}}), sinks=[Dies(home.raw)]).run_once()
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    report = Forwarder(home, SETTINGS).run_once()
    assert event_ids(raw_lines(home)) == ids
    assert [path.parent.name for path in home.raw.glob("dt=2020*/*/*")] == ["hour=03"]
    assert list(home.raw.rglob(".*")) == [], "its other name, under which it was made, is gone"
    assert report.of("raw", "acknowledged") == 10
    assert not (home.spool / "chat").exists() or list((home.spool / "chat").iterdir()) == []


def test_an_attempt_that_left_nothing_is_stored_under_the_hour_it_succeeds_in(home: Home) -> None:
    write(home, 10)

    class Early(RawFolder):
        def key_for(self, segment_id: str, now: datetime) -> str:
            return f"dt=2020-01-01/hour=03/{segment_id}.jsonl.zst"

        def store(self, source: Path, key: str) -> None:
            (self._root / key).parent.mkdir(parents=True)
            (self._root / key).with_name(f".{Path(key).name}.tmp").write_bytes(b"half")
            raise OSError(28, "No space left on device")

    assert Forwarder(home, SETTINGS, sinks=[Early(home.raw)]).run_once().errors
    Forwarder(home, SETTINGS).run_once()
    assert list(home.raw.glob("dt=2020*/*/*")) == []
    assert list(home.raw.glob("dt=2020*/*/.*")) == []
    assert len(event_ids(raw_lines(home))) == 10


def test_an_object_of_today_is_an_acknowledgement_even_when_the_state_is_lost(home: Home) -> None:
    ids, segment = write(home, 10)
    source = segment.path.with_name(segment.path.name.replace(".open", ""))
    now = datetime.now(UTC)
    other = f"dt={now:%Y-%m-%d}/hour={(now.hour + 1) % 24:02}/{source.name}.zst"
    RawFolder(home.raw).store(source, other)
    Forwarder(home, SETTINGS).run_once()
    assert event_ids(raw_lines(home)) == ids


def test_the_second_forwarder_is_refused(home: Home) -> None:
    stop = threading.Event()
    first = threading.Thread(target=Forwarder(home, SETTINGS).run, args=(stop,))
    first.start()
    lock = lock_file(home)
    while not (lock.exists() and lock.read_text().strip()):
        time.sleep(0.01)
    with pytest.raises(LockedError, match=f"process {os.getpid()}"):
        Forwarder(home, SETTINGS).run_once()
    refused = subprocess.run(
        [*COMMAND, "--once", "--json", "--home", home.path], capture_output=True, text=True, check=False
    )
    stop.set()
    first.join()
    assert refused.returncode == 1
    assert json.loads(refused.stderr)["error"] == "LockedError"
    assert Forwarder(home, SETTINGS).run_once().errors == {}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_keep_the_lock(home: Home) -> None:
    children = []
    here, there = os.pipe()

    class Forks(MemoryLines):
        def send(self, lines: list[bytes]) -> Receipt:
            child = os.fork()
            if child == 0:
                os.write(there, b".")
                signal.pause()
            children.append(child)
            os.read(here, 1)  # it has begun to run, and let go of what it inherited
            return super().send(lines)

    write(home, 1)
    Forwarder(home, SETTINGS, sinks=[Forks()]).run_once()
    try:
        assert Forwarder(home, SETTINGS).run_once().errors == {}
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(here)
        os.close(there)


FORKS = """
import os, signal, sys
from pathlib import Path
from tollmeter.instrumentation.writer import SpoolWriter
from tollmeter.model.events import Request, encode, utc_now
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings
writer = SpoolWriter(Path(sys.argv[1]) / "chat", Settings.load({}))
writer.append(encode(Request(event_id=new_event_id(), timestamp=utc_now(), service="chat")))
child = os.fork()
if child == 0:
    os.write(1, f"{os.getpid()}\\n".encode())
    signal.pause()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_service_is_adopted_while_its_forked_child_lives(home: Home) -> None:
    parent = subprocess.Popen([sys.executable, "-W", "ignore", "-c", FORKS, home.spool], stdout=subprocess.PIPE)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.wait()
    try:
        report = Forwarder(home, SETTINGS).run_once()
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()
    assert report.counts["segments_adopted"] == 1
    assert len(event_ids(raw_lines(home))) == 1


def test_a_home_that_cannot_be_written_is_a_clear_error(home: Home) -> None:
    home.path.mkdir()
    home.state.write_text("a file where a folder belongs")
    with pytest.raises(TransientError, match="forwarder cannot work"):
        Forwarder(home, SETTINGS).run_once()


def test_an_idle_forwarder_costs_next_to_nothing(home: Home) -> None:
    write(home, 3)
    stop = threading.Event()
    threading.Timer(2.0, stop.set).start()
    before = time.process_time()
    Forwarder(home, Settings.load({})).run(stop)
    assert time.process_time() - before < 0.2


def test_two_backlogs_are_drained_in_turns(home: Home) -> None:
    ids = [event_id for _ in range(12) for event_id in write(home, 300)[0]]
    memory = MemoryLines()
    report = Forwarder(home, SETTINGS, sinks=[RawFolder(home.raw), memory]).run_once()
    report.check()
    assert Counter(event_ids(memory.lines)) == Counter(ids)
    assert Counter(event_ids(raw_lines(home))) == Counter(ids)
    assert report.of("raw", "objects") == 12


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


def test_many_writers_amid_a_line_keep_it_neither_busy_nor_waiting(home: Home) -> None:
    segments = [write(home, 1, close=False)[1] for _ in range(12)]
    for segment in segments:
        os.write(segment.fd, b'{"kind":')
    memory = MemoryLines()
    Forwarder(home, SETTINGS, sinks=[memory]).run_once()
    Forwarder(home, SETTINGS, sinks=[memory]).run_once()
    assert len(event_ids(memory.lines)) == 12
    for segment in segments:
        os.close(segment.fd)


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
