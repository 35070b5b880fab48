"""`tollmeter forward` as people and services start it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tollmeter.model.events import Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.spool import close_segment, create_segment, service_folder

COMMAND = (sys.executable, "-m", "tollmeter.cli.main", "forward")
QUICK = os.environ | {"TOLLMETER_FORWARD_INTERVAL_S": "0.05"}


def write(home: Home, count: int) -> None:
    segment = create_segment(service_folder(home.spool, "chat"))
    for _ in range(count):
        event = Request(event_id=new_event_id(), timestamp=datetime.now(UTC), service="chat", status_code=200)
        os.write(segment.fd, encode(event))
    close_segment(segment)


def objects(home: Home) -> list[Path]:
    return list(home.raw.glob("dt=*/hour=*/*.jsonl.zst"))


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def forward(home: Home, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, "--home", home.path, *options], capture_output=True, text=True, check=False)


def test_once_ships_and_reports_as_text(home: Home) -> None:
    write(home, 12)
    done = forward(home, "--once")
    assert done.returncode == 0, done.stderr
    assert "raw: 12 lines = 12 acknowledged + 0 dropped + 0 in doubt; lag 0.0 s" in done.stdout
    assert "0 segments left in the spool" in done.stdout


def test_json_is_one_document(home: Home) -> None:
    write(home, 12)
    report = json.loads(forward(home, "--once", "--json").stdout)
    assert report["counts"] == {"raw.produced": 12, "raw.acknowledged": 12, "raw.objects": 1}
    assert report["sinks"] == ["raw"]


def test_logs_have_stdout_to_themselves(home: Home) -> None:
    write(home, 3)
    done = forward(home, "--once", "--sink", "stdout", "--json")
    logs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [log["message"] for log in logs] == ["Request completed"] * 3 + ["Run completed"]
    assert json.loads(done.stderr)["counts"]["stdout.acknowledged"] == 3


def test_wrong_usage_exits_2_and_names_what_is_known(home: Home) -> None:
    done = forward(home, "--once", "--sink", "s4")
    assert done.returncode == 2
    assert "no sink named 's4'" in done.stderr


def test_a_failing_sink_is_a_finding(home: Home) -> None:
    write(home, 1)
    home.raw.write_text("a file where a folder belongs")
    done = forward(home, "--once")
    assert done.returncode == 1
    assert "raw: failing: " in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_after_a_last_pass(home: Home, number: signal.Signals) -> None:
    write(home, 5)
    process = subprocess.Popen([*COMMAND, "--home", home.path], env=QUICK, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: len(objects(home)) == 1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "raw: 5 lines = 5 acknowledged" in out


PARENT = """
import os, subprocess, sys
from pathlib import Path
from tollmeter.model.events import Request, encode, utc_now
from tollmeter.model.ids import new_event_id
from tollmeter.model.spool import create_segment, service_folder
child = subprocess.Popen([sys.executable, "-m", "tollmeter.cli.main", "forward", "--exit-with-parent", "--home",
    sys.argv[1]], start_new_session=True, stdout=sys.stderr)
segment = create_segment(service_folder(Path(sys.argv[1]) / "spool", "chat"))
os.write(segment.fd, encode(Request(event_id=new_event_id(), timestamp=utc_now(), service="chat")))
print(child.pid, flush=True)
sys.stdin.read()
"""


def start_parent(home: Home) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-c", PARENT, str(home.path)]
    parent = subprocess.Popen(
        command, env=QUICK, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout
    return parent, int(parent.stdout.readline())


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def end(parent: subprocess.Popen[str]) -> None:
    parent.kill()
    parent.communicate()


def test_a_child_ships_what_its_killed_parent_left_and_ends(home: Home) -> None:
    parent, child = start_parent(home)
    lock = home.state / "forward" / "lock"
    wait_until(lambda: lock.exists() and lock.read_text().strip() == str(child))
    assert objects(home) == [], "its writer lives"
    end(parent)
    wait_until(lambda: gone(child))
    assert len(objects(home)) == 2, "its events, and what the forwarder tells of itself"
    assert list((home.spool / "chat").iterdir()) == []


def test_a_second_child_stands_by_and_takes_over(home: Home) -> None:
    lock = home.state / "forward" / "lock"
    first, first_child = start_parent(home)
    wait_until(lambda: lock.exists() and lock.read_text().strip() == str(first_child))
    second, second_child = start_parent(home)
    end(first)
    wait_until(lambda: lock.read_text().strip() == str(second_child))
    end(second)
    wait_until(lambda: gone(first_child) and gone(second_child))
    assert list((home.spool / "chat").iterdir()) == []


def test_help_teaches() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    for word in ("--once", "--sink", "--exit-with-parent", "tollmeter forward --once"):
        assert word in done.stdout
