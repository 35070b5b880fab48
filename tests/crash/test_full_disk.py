"""A disk without room: the service answers as before, and every event that is lost is counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import get, served, spooled, stop

from tollmeter.model.events import Request
from tollmeter.model.home import Home

ENV = {"TOLLMETER_SEGMENT_MAX_AGE_S": "0.5", "TOLLMETER_FORWARD_INTERVAL_S": "0.1"}
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Home]:
    """A home on a disk of 256 KiB."""
    home = Home(tmp_path / "disk")
    home.path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(home.path)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield home
    subprocess.run(["umount", "--lazy", str(home.path)], check=True)


def answered(url: str, count: int) -> float:
    """Ask so often, each answer being 200; returns the slowest in seconds."""
    slowest = 0.0
    for _ in range(count):
        began = time.monotonic()
        assert get(f"{url}/ping")[0] == 200
        slowest = max(slowest, time.monotonic() - began)
    return slowest


def requests(home: Home) -> list[Request]:
    return [event for event in spooled(home) if isinstance(event, Request)]


@pytest.mark.crash
def test_a_full_disk_neither_blocks_nor_raises_and_the_loss_is_told(tmp_path: Path, small: Home) -> None:
    filler = small.path / "filler"
    with served(tmp_path, small, env=ENV) as (service, url):
        answered(url, 20)
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 512):
                    pass
            except OSError:
                pass
        assert answered(url, 200) < 5
        forward = [sys.executable, "-m", "tollmeter.cli.main", "forward", "--sink", "stdout", "--home", str(small.path)]
        with (tmp_path / "forward.log").open("wb") as log:
            forwarder = subprocess.Popen(forward, env=os.environ | ENV, stdout=log, stderr=log)
        time.sleep(3)
        filler.unlink()
        answered(url, 20)
        stop(service)
        log_text = (tmp_path / "service.log").read_text()
        if forwarder.poll() is None:
            forwarder.send_signal(signal.SIGTERM)
            assert forwarder.wait(30) in (0, 1)
        else:  # it could not even begin, said so, and whoever runs it starts it again
            assert forwarder.returncode == 1
            assert "tollmeter: the forwarder cannot work" in (tmp_path / "forward.log").read_text()
    assert "Traceback" not in log_text
    done = subprocess.run(
        [*forward, "--once", "--json"], capture_output=True, text=True, check=True, env=os.environ | ENV
    )
    written = (tmp_path / "forward.log").read_text() + done.stdout
    told = [line for line in written.splitlines() if '"kind":"request"' in line]
    lost = sum(count for line in told for count in json.loads(line).get("losses", {}).values())
    assert lost > 0
    assert len(told) + lost == 20 + 200 + 20 + 1, "and the one that asked whether it was up"


@pytest.mark.crash
def test_a_file_that_may_not_grow_costs_one_line_and_the_next_is_whole(tmp_path: Path, home: Home) -> None:
    with served(tmp_path, home, prefix=(sys.executable, "-c", LIMITED), env=ENV) as (service, url):
        assert answered(url, 300) < 5
        stop(service)
    found = requests(home)
    lost = sum(count for event in found for count in event.losses.values())
    assert {reason for event in found for reason in event.losses} == {"short_write"}
    assert len(found) + lost == 300 + 1, "and the one that asked whether it was up"
    assert "Traceback" not in (tmp_path / "service.log").read_text()
