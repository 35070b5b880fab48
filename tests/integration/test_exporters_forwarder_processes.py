"""The forwarder beside processes that write, fork and are killed, itself among them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from forwarding import SETTINGS, WRITER, event_ids, raw_lines, write

from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.lock import lock_file
from tollmeter.exporters.sinks.base import Receipt
from tollmeter.exporters.sinks.memory import MemoryLines
from tollmeter.exporters.sinks.raw import RawFolder
from tollmeter.model.errors import LockedError, TransientError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

COMMAND = (sys.executable, "-m", "tollmeter.cli.main", "forward")


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
