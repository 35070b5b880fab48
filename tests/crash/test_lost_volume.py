"""Service and forwarder end and their volume goes with them: what is lost is what was printed, no more and no less."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard
from serving import get, served, spooled

from tollmeter.model.events import Request, decode
from tollmeter.model.home import Home

KILLS = max(1, int(os.environ.get("TOLLMETER_KILLS", "3")) // 5)
SEED = int(os.environ.get("TOLLMETER_SEED", "20261124"))
FORWARD = (sys.executable, "-m", "tollmeter.cli.main", "forward")
ENV = {"TOLLMETER_SEGMENT_MAX_AGE_S": "0.4", "TOLLMETER_FORWARD_INTERVAL_S": "0.1", "TOLLMETER_FORWARD_GRACE_S": "1"}


def asking(url: str, received: list[str]) -> threading.Thread:
    def work() -> None:
        while True:
            try:
                received.append(get(f"{url}/ping")[1])
            except Exception:  # noqa: BLE001  an answer that was cut off by the kill is no complete one
                return

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@contextmanager
def forwarding(home: Home, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "forward.log").open("wb") as log:
        process = subprocess.Popen([*FORWARD, "--home", home.path], env=os.environ | ENV, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def in_raw(home: Home) -> set[str]:
    lines = [line for path in home.raw.rglob("*.zst") for line in zstandard.decompress(path.read_bytes()).splitlines()]
    return {event.request_id for event in map(decode, lines) if isinstance(event, Request)}


def in_spool(home: Home) -> set[str]:
    return {event.request_id for event in spooled(home) if isinstance(event, Request)}


def lose_the_volume(home: Home) -> None:
    shutil.rmtree(home.spool)
    shutil.rmtree(home.state)


@pytest.mark.crash
@pytest.mark.parametrize("number", range(KILLS))
def test_both_killed_the_loss_is_what_the_check_prints(tmp_path: Path, home: Home, number: int) -> None:
    received: list[str] = []
    with served(tmp_path, home, env=ENV) as (service, url), forwarding(home, tmp_path) as forwarder:
        clients = [asking(url, received) for _ in range(2)]
        deadline = time.monotonic() + 30
        while len(in_raw(home)) < 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(random.Random(SEED + number).uniform(0, 0.8))
        forwarder.kill()
        service.kill()
        for client in clients:
            client.join()
    done = subprocess.run([*FORWARD, "--check", "--json", "--home", home.path], capture_output=True, check=True)
    told = [each["text"] for each in json.loads(done.stdout) if each["text"].startswith("waiting: ")]
    [waiting] = [int((re.findall(r"([\d,]+) lines", text) or ["0"])[0].replace(",", "")) for text in told]
    written = in_raw(home) | in_spool(home)
    lose_the_volume(home)
    lost = written - in_raw(home)
    assert len(lost) == waiting
    assert set(received) - in_raw(home) <= lost
    assert len(received) > 20


@pytest.mark.crash
def test_both_stopped_while_raw_is_out_of_reach_the_loss_is_what_was_printed(tmp_path: Path, home: Home) -> None:
    with served(tmp_path, home, env=ENV) as (service, url), forwarding(home, tmp_path) as forwarder:
        shipped = {get(f"{url}/ping")[1] for _ in range(60)}
        deadline = time.monotonic() + 30
        # Stored and noted: of what is stored and not noted yet nobody can say, once raw is gone, that it did arrive.
        while (not shipped <= in_raw(home) or shipped & in_spool(home)) and time.monotonic() < deadline:
            time.sleep(0.05)
        kept = home.raw.rename(home.path / "reached")
        home.raw.write_text("")
        missed = {get(f"{url}/ping")[1] for _ in range(50)}
        service.send_signal(signal.SIGTERM)
        service.wait(20)
        forwarder.send_signal(signal.SIGTERM)
        forwarder.wait(20)
    lose_the_volume(home)
    home.raw.unlink()
    kept.rename(home.raw)
    log = (tmp_path / "forward.log").read_text()
    [printed] = re.findall(r"raw: left behind: ([\d,]+) lines", log)
    assert (shipped | missed) - in_raw(home) == missed
    assert int(printed.replace(",", "")) == len(missed)
