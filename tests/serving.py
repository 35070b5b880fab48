"""Real services on loopback for the integration, crash and end-to-end suites."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tollmeter.model.events import Event, decode
from tollmeter.model.home import Home

INSTRUMENTED = """
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from tollmeter.instrumentation import instrument

app = FastAPI(title="svc")
instrument(app)

@app.get("/ping")
def ping():
    return {"ok": True}

@app.get("/stream")
async def stream():
    async def parts():
        for _ in range(5):
            yield b"part"
    return StreamingResponse(parts())

@app.get("/boom")
def boom():
    raise ValueError("boom")
"""
BARE = INSTRUMENTED.replace("instrument(app)\n", "").replace("from tollmeter.instrumentation import instrument\n", "")


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(
    folder: Path,
    home: Home,
    *,
    code: str = INSTRUMENTED,
    prefix: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    python: str | Path = sys.executable,
    paths: tuple[Path, ...] = (),
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run `code` under uvicorn with its own home; yields the process and its base URL.

    Another `python` finds Tollmeter, and what else it needs, on `paths`.
    """
    (folder / "service.py").write_text(code)
    port = free_port()
    command = [*prefix, str(python), "-m", "uvicorn", "service:app", "--port", str(port), "--log-level", "warning"]
    environ = (
        os.environ
        | {"TOLLMETER_HOME": str(home.path), "PYTHONPATH": os.pathsep.join(map(str, (folder, *paths)))}
        | (env or {})
    )
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stderr=log, stdout=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(process, url, folder / "service.log")
        yield process, url
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def get(url: str) -> tuple[int, str]:
    """Status and request id of a GET whose body was read in full."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            response.read()
            return response.status, response.headers["x-request-id"]
    except urllib.error.HTTPError as error:
        with error:
            error.read()
            return error.code, error.headers["x-request-id"]


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    """Signal a service and wait for its end."""
    process.send_signal(number)
    process.wait(timeout=20)


def spooled(home: Home) -> list[Event]:
    """All whole events in the spool, closed segments and open ones."""
    paths = sorted(home.spool.glob("*/*.jsonl"))
    return [decode(line) for path in paths for line in path.read_bytes().split(b"\n")[:-1]]


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the service ended: {log.read_text()}")
        try:
            urllib.request.urlopen(url + "/openapi.json", timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the service did not answer: {log.read_text()}")
