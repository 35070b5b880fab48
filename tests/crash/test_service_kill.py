"""The service under load killed, or told to stop: an answer that a client has in full is a row in the lake."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from serving import get, served

from tollmeter import etl
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.sql.engine import open_engine

KILLS = int(os.environ.get("TOLLMETER_KILLS", "3"))
KILLS_PER_LAKE = 5
ENOUGH = 20
SEED = int(os.environ.get("TOLLMETER_SEED", "20261123"))


def load(url: str, received: list[str]) -> None:
    paths = ("/ping", "/stream", "/nowhere")
    for turn in range(100_000):
        try:
            received.append(get(url + paths[turn % 3])[1])
        except OSError:
            return
        except Exception as error:  # noqa: BLE001  a body cut off by the kill is no complete answer
            assert type(error).__name__ in {"IncompleteRead", "RemoteDisconnected", "BadStatusLine"}  # noqa: PT017
            return


def ended(folder: Path, home: Home, number: int, how: signal.Signals) -> list[str]:
    """Run a service under load, end it at a random moment; the requests whose answers were complete."""
    received: list[str] = []
    folder.mkdir()
    with served(folder, home) as (process, url):
        clients = [threading.Thread(target=load, args=(url, received)) for _ in range(4)]
        for client in clients:
            client.start()
        deadline = time.monotonic() + 60
        while len(received) < ENOUGH and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.Random(SEED + number).uniform(0, 0.5))
        process.send_signal(how)
        process.wait(60)
        for client in clients:
            client.join()
    assert len(received) >= ENOUGH
    return received


@pytest.mark.crash
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
@pytest.mark.parametrize("first", range(0, KILLS, KILLS_PER_LAKE))
def test_every_complete_answer_survives(tmp_path: Path, home: Home, first: int, how: signal.Signals) -> None:
    numbers = range(first, min(first + KILLS_PER_LAKE, KILLS))
    received = [request for number in numbers for request in ended(tmp_path / str(number), home, number, how)]
    Forwarder(home, Settings.load({})).run_once(final=True)
    etl.run(home).check()
    with open_engine("duckdb", home) as engine:
        rows = engine.execute("SELECT request_id FROM requests", {}).column("request_id").to_pylist()
    assert set(received) <= set(rows)
    assert len(rows) == len(set(rows))
