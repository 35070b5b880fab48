"""The forwarder as a service: its health, its check, its end, another user's spool, a root that is read-only."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from serving import free_port

from tollmeter.exporters.checking import check
from tollmeter.exporters.cursor import Cursors, cursor_file
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.health import Health, served
from tollmeter.exporters.report import Standing
from tollmeter.exporters.sinks.base import Receipt
from tollmeter.exporters.sinks.memory import MemoryLines, MemorySegments
from tollmeter.exporters.sinks.raw import RawFolder
from tollmeter.model.events import Request, decode, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings
from tollmeter.model.spool import close_segment, create_segment, service_folder

COMMAND = (sys.executable, "-m", "tollmeter.cli.main", "forward")
QUICK = os.environ | {"TOLLMETER_FORWARD_INTERVAL_S": "0.05"}
SERVICE_USER, FORWARD_USER, GROUP = 21001, 21002, 21003
# The interpreter may lie where only root may read: all is imported first, then root's rights are given up.
AS_USER = """
import os, sys
from pathlib import Path
from tollmeter.exporters.checking import check
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.sinks import raw
from tollmeter.instrumentation.writer import SpoolWriter
from tollmeter.model.events import Request, encode, utc_now
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings
from tollmeter.model.spool import service_folder
import encodings.idna, zstandard
user, group, home = int(sys.argv[1]), int(sys.argv[2]), Home(Path(sys.argv[3]))
settings = Settings.load({"TOLLMETER_SEGMENT_MAX_AGE_S": "3600"})
os.setgroups([])
os.setresgid(group, group, group)
os.setresuid(user, user, user)
os.umask(0o022)
"""
WRITES = """
writer = SpoolWriter(service_folder(home.spool, "chat"), settings)
for number in range(7):
    assert writer.append(encode(Request(event_id=new_event_id(), timestamp=utc_now(), service="chat")))
    if number == 2:
        writer.close()
os.write(writer._segment.fd, b'{"kind":"request","torn')
os._exit(0)
"""
CHECKS = """
for found in check(home, settings):
    print(found.level, found.what + ":", found.text)
"""
FORWARDS = """
report = Forwarder(home, settings).run_once()
report.check()
print(*report.lines(), sep="\\n")
"""


def write(home: Home, count: int, *, at: datetime | None = None) -> list[str]:
    segment = create_segment(service_folder(home.spool, "chat"))
    ids = [new_event_id() for _ in range(count)]
    for event_id in ids:
        os.write(segment.fd, encode(Request(event_id=event_id, timestamp=at or datetime.now(UTC), service="chat")))
    close_segment(segment)
    return ids


def asked(port: int, path: str = "/health") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


@contextmanager
def forwarding(home: Home, *options: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, "--home", home.path, *options],
        env=QUICK | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until_healthy(process: subprocess.Popen[str], port: int) -> Any:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        try:
            status, document = asked(port)
        except OSError:
            time.sleep(0.05)
            continue
        if status == 200 and document["sinks"]:
            return document
    raise AssertionError("never healthy")


def test_health_tells_how_every_sink_stands(home: Home) -> None:
    write(home, 5)
    port = free_port()
    with forwarding(home, "--health-port", str(port)) as process:
        document = until_healthy(process, port)
        assert document["status"] == "healthy"
        assert document["last_round_s"] < 30
        assert document["sinks"]["raw"] | {"lag_ms": 0, "waiting_bytes": 0} == {
            "durable": True, "lag_ms": 0, "waiting_bytes": 0, "held": 0, "error": "", "failing_s": 0.0,
        }  # fmt: skip
        assert asked(port, "/")[0] == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with pytest.raises(OSError, match="refused"):
        asked(port)


def test_a_durable_sink_that_keeps_failing_is_unhealthy_and_a_lossy_one_is_not() -> None:
    health = Health(Settings.load({}, health_max_failing_s=10.0))
    health.beat({"xray": Standing(durable=False, error="ConnectionError: no", failing_s=99.0)})
    assert health.problems() == []
    health.beat({"s3": Standing(durable=True, error="ConnectionError: no", failing_s=9.0)})
    assert health.problems() == []
    health.beat({"s3": Standing(durable=True, error="ConnectionError: no", failing_s=11.0)})
    with served(health, "127.0.0.1", 0) as port:
        assert asked(port) == (503, health.document() | {"last_round_s": pytest.approx(0, abs=5)})
    assert health.problems()[0].startswith("s3 has been failing for 1")
    health.beat({"s3": Standing(durable=True)})
    assert health.problems() == []


def test_a_loop_that_stopped_is_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health(Settings.load({}))
    health.beat({"s3": Standing(durable=True)})
    monkeypatch.setattr("tollmeter.exporters.health._STOPPED_S", 0.05)
    time.sleep(0.1)
    assert health.problems() == ["no round for 0 s"]


def test_a_silent_caller_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollmeter.exporters.health._Handler.timeout", 0.2)
    with (
        served(Health(Settings.load({})), "127.0.0.1", 0) as port,
        socket.create_connection(("127.0.0.1", port)) as silent,
    ):
        assert asked(port)[0] == 200
        assert silent.fileno() > 0


def test_a_failing_sink_is_seen_in_a_running_forwarder(home: Home) -> None:
    write(home, 1)
    sink = MemorySegments()
    sink.failure = ConnectionError("refused")
    port = free_port()
    settings = Settings.load({}, forward_interval_s=0.05, health_port=port, health_max_failing_s=0.1)
    stop = threading.Event()
    thread = threading.Thread(target=Forwarder(home, settings, sinks=[sink]).run, args=(stop,), kwargs={"grace_s": 0.1})
    thread.start()
    deadline = time.monotonic() + 20
    status, document = 0, None
    while status != 503 and time.monotonic() < deadline:
        time.sleep(0.05)
        try:
            status, document = asked(port)
        except OSError:
            continue
    stop.set()
    thread.join()
    assert document
    assert document["problems"][0].startswith("memory_segments has been failing for")
    assert document["sinks"]["memory_segments"]["waiting_bytes"] > 0


def test_it_goes_on_after_sigterm_until_the_service_has_written_its_last(home: Home) -> None:
    segment = create_segment(service_folder(home.spool, "chat"))
    ids = write(home, 3)
    with forwarding(home, TOLLMETER_FORWARD_GRACE_S="30") as process:
        deadline = time.monotonic() + 20
        while not list(home.raw.rglob("*.zst")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert process.poll() is None, "a service still writes"
        ids.append(new_event_id())
        os.write(segment.fd, encode(Request(event_id=ids[-1], timestamp=datetime.now(UTC), service="chat")))
        close_segment(segment)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "raw: 4 lines = 4 acknowledged" in out
    assert "left behind" not in out
    assert raw_ids(home) == sorted(ids)


def test_what_cannot_be_shipped_within_the_grace_is_printed(home: Home) -> None:
    write(home, 3)
    size = sum(path.stat().st_size for path in (home.spool / "chat").iterdir())
    home.raw.write_text("a file where a folder belongs")
    with forwarding(home, TOLLMETER_FORWARD_GRACE_S="0.5") as process:
        deadline = time.monotonic() + 20
        while not (home.state / "forward" / "lock").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"raw: left behind: 3 lines ({size} bytes) of the last " in out


def raw_ids(home: Home) -> list[str]:
    lines = [line for path in home.raw.rglob("*.zst") for line in zstandard.decompress(path.read_bytes()).splitlines()]
    return sorted(event.event_id for event in map(decode, lines) if event.service == "chat")


def test_after_days_of_outage_everything_follows_in_order_and_the_disk_is_bounded(home: Home) -> None:
    days = [datetime.now(UTC) - timedelta(days=day) for day in (3, 2, 1, 0)]
    down, segments = MemoryLines("down"), MemorySegments()
    down.failure, segments.failure = ConnectionError("refused"), ConnectionError("refused")
    settings = Settings.load({}, sink_max_lag_s=7 * 86400.0)
    ids = []
    for day in days:
        ids += write(home, 5, at=day)
        report = Forwarder(home, settings, sinks=[down, segments]).run_once()
        report.check()
        assert report.left["down"].lines == report.left["memory_segments"].lines == len(ids)
    down.failure = segments.failure = None
    report = Forwarder(home, settings, sinks=[down, segments]).run_once()
    report.check()
    assert report.left == {}
    theirs = [event.event_id for event in map(decode, down.lines) if event.service == "chat"]
    assert theirs == ids
    stored = [event for body in segments.objects.values() for event in map(decode, body.splitlines())]
    assert [event.event_id for event in stored if event.service == "chat"] == ids
    assert list(home.spool.glob("*/*")) == []


def test_notes_stay_small_however_much_was_forwarded(home: Home) -> None:
    for _ in range(30):
        write(home, 2)
        Forwarder(home, Settings.load({}), sinks=[MemoryLines(), MemorySegments()]).run_once()
    assert sum(path.stat().st_size for path in home.state.rglob("*")) < 200_000


def test_the_check_says_what_each_sink_would_do_and_ships_nothing(home: Home) -> None:
    write(home, 4)
    found = {(each.what, each.level): each.text for each in check(home, Settings.load({}, sinks=("raw", "stdout")))}
    assert {level for _, level in found} == {"ok"}
    assert "waiting: 4 lines" in found["raw", "ok"]
    assert "the last 31 s" in found["window", "ok"]
    assert len(list(home.spool.glob("chat/*.jsonl"))) == 1
    assert list(home.raw.rglob("*.zst")) == []
    assert [path for path in home.raw.rglob("*") if path.is_file()] == []


def test_what_was_stored_and_not_noted_any_more_does_not_wait(home: Home) -> None:
    write(home, 4)
    [path] = home.spool.glob("chat/*.jsonl")
    folder, cursors = RawFolder(home.raw), Cursors(cursor_file(home))
    key = folder.key_for(path.stem, datetime.now(UTC))
    cursors.intend("raw", path.stem, key)
    cursors.close()
    settings = Settings.load({}, sinks=("raw",))
    assert "waiting: 4 lines" in waiting_of_raw(home, settings)
    folder.store(path, key)
    assert waiting_of_raw(home, settings) == "waiting: nothing"


def waiting_of_raw(home: Home, settings: Settings) -> str:
    [text] = [each.text for each in check(home, settings) if each.what == "raw" and each.text.startswith("waiting")]
    return text


def test_the_check_finds_what_stands_in_the_way(home: Home) -> None:
    home.path.mkdir()
    home.raw.write_text("a file where a folder belongs")
    done = subprocess.run([*COMMAND, "--home", home.path, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "finding raw: FileExistsError" in done.stdout
    done = subprocess.run(
        [*COMMAND, "--home", home.path, "--check", "--json", "--sink", "s3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)[0]["text"].startswith("raw_url='' is not allowed")
    [found] = [each for each in check(home, Settings.load({}, sinks=("stdout",))) if each.what == "window"]
    assert (found.level, found.text) == ("finding", "no sink is durable: what stdout miss is lost")


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


@pytest.fixture
def open_home() -> Iterator[Home]:
    # pytest's own folders may be entered by nobody else.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "home").mkdir()
    try:
        yield Home(folder / "home")
    finally:
        shutil.rmtree(folder)


def as_user(user: int, home: Home, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", AS_USER + code, str(user), str(GROUP), str(home.path)],
        cwd="/",
        env={"TMPDIR": "/nowhere", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shared_by_group(home: Home) -> None:
    os.chown(home.path, 0, GROUP)
    home.path.chmod(0o2770)


@as_root
def test_a_spool_of_another_user_is_forwarded_where_the_group_shares_it(open_home: Home) -> None:
    home = open_home
    shared_by_group(home)
    as_user(SERVICE_USER, home, WRITES)
    assert len(list(home.spool.glob("chat/*"))) == 2
    assert "finding" not in as_user(FORWARD_USER, home, CHECKS)
    told = as_user(FORWARD_USER, home, FORWARDS)
    assert "raw: 7 lines = 7 acknowledged" in told
    assert "torn lines 1" in told
    assert len(raw_ids(home)) == 7
    assert list(home.spool.glob("chat/*")) == []


@as_root
def test_a_spool_that_is_not_shared_is_a_finding_and_harms_nobody(open_home: Home) -> None:
    home = open_home
    for folder, user in ((home.spool, SERVICE_USER), (home.raw, FORWARD_USER), (home.state, FORWARD_USER)):
        folder.mkdir()
        os.chown(folder, user, GROUP)
    as_user(SERVICE_USER, home, WRITES)
    told = as_user(FORWARD_USER, home, CHECKS)
    assert f"finding spool: {home.spool}/chat belongs to user {SERVICE_USER} and is not {FORWARD_USER}'s" in told
    for _ in range(2):  # what is closed is stored once; what cannot be closed or deleted stays, and is told
        told = as_user(FORWARD_USER, home, FORWARDS)
        assert "deletions failed 1" in told
        assert "adoptions failed" in told
        assert "segments left in the spool" in told
    assert len(raw_ids(home)) == 3
    assert len(list(home.spool.glob("chat/*"))) == 2


@as_root
def test_it_works_with_a_root_that_is_read_only(open_home: Home) -> None:
    home = open_home
    ids = write(home, 6)
    inside = ["mount", "--bind", home.path, home.path, "&&", "mount", "-o", "remount,ro,bind", "/", "&&"]
    script = " ".join([*map(str, inside), *COMMAND, "--once", "--home", str(home.path)])
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"touch /probe.tollmeter && rm /probe.tollmeter; {script}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(f"mounts cannot be changed here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert raw_ids(home) == sorted(ids)


def test_a_sink_that_answers_late_in_the_grace_still_gets_all(home: Home) -> None:
    ids = write(home, 3)
    sink = MemoryLines()
    sink.failure = ConnectionError("refused")
    stop = threading.Event()
    stop.set()
    threading.Timer(1.0, lambda: setattr(sink, "failure", None)).start()
    report = Forwarder(home, Settings.load({}, forward_interval_s=0.05, forward_grace_s=20.0), sinks=[sink]).run(stop)
    report.check()
    assert [event.event_id for event in map(decode, sink.lines) if event.service == "chat"] == ids
    assert report.seconds < 15
    assert isinstance(sink.send([]), Receipt)
