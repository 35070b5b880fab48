"""A real uvicorn: signals, `tollmeter run`, read-only homes."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest
import zstandard
from serving import BARE, get, served, spooled, stop

from tollmeter.model.events import Request
from tollmeter.model.home import Home

TOLLMETER = str(Path(sys.executable).parent / "tollmeter")


def requests_of(home: Home) -> dict[str, Request]:
    events = [e for e in spooled(home) if isinstance(e, Request) and e.route != "/openapi.json"]
    return {event.request_id: event for event in events}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_the_segment_and_loses_nothing(tmp_path: Path, home: Home, number: int) -> None:
    with served(tmp_path, home) as (process, url):
        answers = [get(url + path) for path in ("/ping", "/stream", "/boom", "/nowhere")]
        stop(process, number)
    assert [status for status, _ in answers] == [200, 200, 500, 404]
    found = requests_of(home)
    by_route = {found[request_id].route: found[request_id] for _, request_id in answers}
    assert set(by_route) == {"/ping", "/stream", "/boom", ""}
    assert by_route["/boom"].error_type == "ValueError"
    assert by_route["/stream"].response_bytes == 20
    assert list(home.spool.glob("*/*.open.jsonl")) == []


@pytest.mark.parametrize("mode", ["lean", "otel"])
def test_run_needs_no_code(tmp_path: Path, home: Home, mode: str) -> None:
    prefix = (TOLLMETER, "run", "--service", "chat", "--mode", mode, "--")
    with served(tmp_path, home, code=BARE, prefix=prefix) as (process, url):
        answers = [get(url + path) for path in ("/ping", "/stream")]
        stop(process)
    found = requests_of(home)
    assert [found[request_id].route for _, request_id in answers] == ["/ping", "/stream"]
    assert {event.service for event in found.values()} == {"chat"}


def test_a_home_that_cannot_be_written_serves_on_and_tells(tmp_path: Path, home: Home) -> None:
    (tmp_path / "file").write_text("")
    with served(tmp_path, Home(tmp_path / "file" / "home")) as (process, url):
        status, request_id = get(url + "/ping")
        stop(process)
    log = (tmp_path / "service.log").read_text()
    assert status == 200
    assert "tollmeter: events go to stdout, because" in log
    assert f'"request_id":"{request_id}"' in log


def test_two_workers_write_two_segments(tmp_path: Path, home: Home) -> None:
    with served(tmp_path, home, env={"WEB_CONCURRENCY": "2"}) as (process, url):
        ids = {get(url + "/ping")[1]}
        deadline = time.monotonic() + 20
        while len({event.instance for event in spooled(home)}) < 2 and time.monotonic() < deadline:
            ids.add(get(url + "/ping")[1])
        stop(process)
    assert ids <= set(requests_of(home))
    assert len({event.instance for event in requests_of(home).values()}) == 2


def test_the_service_can_start_its_own_forwarder(tmp_path: Path, home: Home) -> None:
    with served(tmp_path, home, env={"TOLLMETER_FORWARD": "true"}) as (process, url):
        request_id = get(url + "/ping")[1]
        stop(process)
    deadline = time.monotonic() + 20
    while list(home.spool.glob("svc/*.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    shipped = [zstandard.decompress(path.read_bytes()) for path in home.raw.glob("dt=*/hour=*/*.jsonl.zst")]
    assert any(f'"request_id":"{request_id}"'.encode() in data for data in shipped)
