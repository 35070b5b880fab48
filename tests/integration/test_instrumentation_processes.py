"""gunicorn, uvicorn's workers, forks, spawns and several apps: each event once, under the right service, none lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import free_port, get, served, spooled, stop

from tollmeter.model.events import LlmCall, Request
from tollmeter.model.home import Home

GUNICORN = str(Path(sys.executable).parent / "gunicorn")


def requests_of(home: Home) -> list[Request]:
    """Those of the tests, without the questions whether the service is up."""
    return [e for e in spooled(home) if isinstance(e, Request) and e.route not in ("", "/openapi.json")]


def calls_of(home: Home) -> list[LlmCall]:
    return [e for e in spooled(home) if isinstance(e, LlmCall)]


APP = """
from fastapi import FastAPI
from tollmeter.instrumentation import instrument, llm_call

app = FastAPI(title="svc")
instrument(app)

@app.get("/ping")
def ping():
    with llm_call(provider="openai", model="gpt-4o") as call:
        call.record_usage(input_tokens=1, output_tokens=1)
    return {"ok": True}
"""


@contextmanager
def gunicorn(folder: Path, home: Home, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    (folder / "service.py").write_text(APP)
    port = free_port()
    command = [GUNICORN, "service:app", "-k", "uvicorn_worker.UvicornWorker", "-b", f"127.0.0.1:{port}", *options]
    environ = os.environ | {"TOLLMETER_HOME": str(home.path), "PYTHONPATH": str(folder)}
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stderr=log, stdout=log)
    try:
        deadline = time.monotonic() + 30
        while not _answers(f"http://127.0.0.1:{port}/openapi.json"):
            assert process.poll() is None, (folder / "service.log").read_text()
            assert time.monotonic() < deadline, (folder / "service.log").read_text()
            time.sleep(0.05)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def load(url: str, count: int) -> list[str]:
    """Request ids of answers that came in full; a worker that is recycled may refuse some."""

    def ask(_: int) -> str:
        try:
            status, request_id = get(url + "/ping")
        except (OSError, urllib.error.URLError):
            return ""
        return request_id if status == 200 else ""

    with ThreadPoolExecutor(4) as pool:
        return [found for found in pool.map(ask, range(count)) if found]


@pytest.mark.parametrize(
    ("options", "instances"),
    [
        (("-w", "2"), 2),
        (("-w", "2", "--preload"), 2),
        (("-w", "2", "--preload", "--max-requests", "15"), 4),
    ],
)
def test_gunicorn_workers_lose_nothing_and_double_nothing(
    tmp_path: Path, home: Home, options: tuple[str, ...], instances: int
) -> None:
    with gunicorn(tmp_path, home, *options) as (process, url):
        answered = load(url, 60)
        deadline = time.monotonic() + 30
        while len({row.instance for row in requests_of(home)}) < instances and time.monotonic() < deadline:
            answered += load(url, 10)  # uvicorn looks at the limit ten times a second, whatever was served since
        stop(process)
    rows = Counter(row.request_id for row in requests_of(home))
    assert len(answered) >= 50
    assert set(answered) <= set(rows)
    assert set(rows.values()) == {1}
    calls = Counter(call.request_id for call in calls_of(home))
    assert {rows[request_id] for request_id in calls} == {1}
    assert set(answered) <= set(calls)
    assert set(calls.values()) == {1}
    assert {row.service for row in requests_of(home)} == {"svc"}
    assert len({row.instance for row in requests_of(home)}) >= instances
    assert list(home.spool.glob("*/*.open.jsonl")) == [], (tmp_path / "service.log").read_text()


def test_a_worker_of_gunicorn_that_is_killed_leaves_its_segment_to_the_forwarder(tmp_path: Path, home: Home) -> None:
    with gunicorn(tmp_path, home, "-w", "1", "--preload") as (process, url):
        answered = load(url, 10)
        (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)
        deadline = time.monotonic() + 20
        while not load(url, 1) and time.monotonic() < deadline:
            time.sleep(0.05)
        answered += load(url, 10)
    rows = Counter(row.request_id for row in requests_of(home))
    assert set(answered) <= set(rows)
    assert set(rows.values()) == {1}
    assert len({row.instance for row in requests_of(home)}) == 2


CHILDREN = """
import multiprocessing, os, sys, threading
from tollmeter.instrumentation import instrument, job

instrument(service="batch")

def work(name):
    with job(name):
        pass

def busy(stop):
    while not stop.is_set():
        work("busy")

if __name__ == "__main__":
    work("parent")
    stop = threading.Event()
    threads = [threading.Thread(target=busy, args=(stop,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        children = [context.Process(target=work, args=(f"{method}-{n}",)) for n in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join(30)
            assert child.exitcode == 0, (method, child.exitcode)
    stop.set()
    for thread in threads:
        thread.join()
    work("parent")
"""


def test_forked_and_spawned_children_are_instances_of_their_own(tmp_path: Path, home: Home) -> None:
    (tmp_path / "batch.py").write_text(CHILDREN)
    environ = os.environ | {"TOLLMETER_HOME": str(home.path)}
    subprocess.run([sys.executable, "batch.py"], cwd=tmp_path, env=environ, check=True, timeout=120)
    rows = requests_of(home)
    names = Counter(row.route for row in rows)
    assert names.pop("busy") > 10
    assert names == Counter({"parent": 2} | {f"{method}-{n}": 1 for method in ("fork", "spawn") for n in range(4)})
    parent = {row.instance for row in rows if row.route in ("parent", "busy")}
    children = [row.instance for row in rows if row.route not in ("parent", "busy")]
    assert len(parent) == 1
    assert len({*children} - parent) == 8
    assert len({row.event_id for row in rows}) == len(rows)
    assert all(row.losses == {} for row in rows)
    assert {row.service for row in rows} == {"batch"}


SEVERAL = """
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from tollmeter.instrumentation import instrument, llm_call

def call_a_model():
    with llm_call(provider="openai", model="gpt-4o") as call:
        call.record_usage(input_tokens=1, output_tokens=1)

def home(request):
    call_a_model()
    return PlainTextResponse("ok")

inner = Starlette(routes=[Route("/leaf", home)])
deeper = FastAPI()

@deeper.get("/bottom")
def bottom():
    call_a_model()
    return {}

inner.mount("/deeper", deeper)

first = FastAPI(title="first")
first.mount("/inner", inner)

@first.get("/own")
def own():
    call_a_model()
    return {}

second = FastAPI(title="second")

@second.get("/own")
def own_too():
    call_a_model()
    return {}

for each in (deeper, inner, first):
    instrument(each, service="first")
instrument(first, service="ignored")
instrument(second, service="second")
instrument(service="nobody")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await first(scope, receive, send)
    if scope["path"].startswith("/second"):
        return await second(scope | {"path": scope["path"].removeprefix("/second")}, receive, send)
    await first(scope, receive, send)
"""


def test_nested_and_neighbouring_apps_write_one_row_each_under_their_own_service(tmp_path: Path, home: Home) -> None:
    paths = ("/own", "/inner/leaf", "/inner/deeper/bottom", "/second/own")
    with served(tmp_path, home, code=SEVERAL) as (process, url):
        answers = [get(url + path) for path in paths]
        stop(process)
    assert [status for status, _ in answers] == [200] * 4
    by_id = {row.request_id: row for row in requests_of(home)}
    assert len(by_id) == len(requests_of(home)) == 4
    found = [(by_id[request_id].service, by_id[request_id].route) for _, request_id in answers]
    assert found == [("first", "/own"), ("first", "/inner/leaf"), ("first", "/inner/deeper/bottom"), ("second", "/own")]
    calls = {call.request_id: call.service for call in calls_of(home)}
    assert calls == {request_id: by_id[request_id].service for _, request_id in answers}
