"""The forwarder: events per second and core by what it sends to, and a saturated service with and without it.

A backlog is worked off in 10 rounds (`--forward-rounds`); the service is saturated for 4 s a window, in as many
interleaved rounds as the others (30 unless told otherwise), then once for `SUSTAINED_S` beside each set of sinks.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.cpu import LOAD_CORE, SERVICE_CORE, cpu_ns, pinned
from benchmarks.load import PING, saturate
from benchmarks.paired import difference
from recorded_events import served as recorded
from serving import free_port

from tollmeter.cli.sample.server import SERVICE, Server, running
from tollmeter.exporters.sinks import SINKS
from tollmeter.model.events import encode
from tollmeter.model.spool import close_segment, closed_segments, create_segment, service_folder

AWS, DATADOG = ("s3", "cloudwatch_emf", "xray"), ("raw", "datadog_metrics", "datadog_traces")
SETS: dict[str, tuple[str, ...]] = {"raw": ("raw",), "AWS": AWS, "Datadog": DATADOG, "all": tuple(SINKS)}
BESIDE = ("AWS", "Datadog")
ALONE, AGAIN = "alone", "alone again"
WINDOW_S, SUSTAINED_S = 4.0, 60.0
MOST = 1.1
"""Times the p99 without a forwarder that the p99 beside one may be, unless two services alone differ by more."""

_TESTS = Path(__file__).resolve().parents[1]
_RECEIVERS = "benchmarks.receivers:create_receivers"
_SEGMENT_AGE_S = 1.0
SAMPLE = "sample-assistant"
_DRAIN_S = 300.0
_ENV = {
    "AWS_ACCESS_KEY_ID": "k",
    "AWS_SECRET_ACCESS_KEY": "s",
    "AWS_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "TOLLMETER_RAW_URL": "s3://lake/raw",
    "TOLLMETER_FIREHOSE_STREAM": "events",
    "TOLLMETER_SEGMENT_MAX_AGE_S": str(_SEGMENT_AGE_S),
    "TOLLMETER_FORWARD_GRACE_S": "60",
}
_ENDPOINTS = (
    *(f"AWS_ENDPOINT_URL_{service}" for service in ("S3", "FIREHOSE", "CLOUDWATCH_LOGS", "CLOUDWATCH", "XRAY")),
    "TOLLMETER_OTLP_ENDPOINT",
    "TOLLMETER_DATADOG_OTLP_ENDPOINT",
)


def measure(rounds: int, drains: int, progress: Callable[[str], None], *, requests: int = 10_000) -> dict[str, Any]:
    """Backlogs of so many requests with their calls, then the service beside the forwarder."""
    with tempfile.TemporaryDirectory() as folder, _receiving() as (env, receivers):
        found = {"drained": _drained(Path(folder), env, drains, requests, progress)}
        found |= _beside(Path(folder), env, rounds, progress)
        with urllib.request.urlopen(f"{receivers.url}/received") as reply:
            received = int(reply.read())
    if not received:
        raise RuntimeError("nobody received what the forwarder sent")
    return found | {"rounds": rounds, "drains": drains, "received_bytes": received}


@contextmanager
def _receiving() -> Iterator[tuple[dict[str, str], Server]]:
    """What leads a forwarder to receivers on loopback; datagrams to the Agent go to a socket that nobody reads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent, ExitStack() as stack:
        agent.bind(("127.0.0.1", 0))
        with pinned(LOAD_CORE):
            server = stack.enter_context(running(_RECEIVERS, {"PYTHONPATH": str(_TESTS)}))
        statsd = {"TOLLMETER_STATSD_ADDRESS": f"udp://127.0.0.1:{agent.getsockname()[1]}", "PYTHONPATH": str(_TESTS)}
        yield os.environ | _ENV | dict.fromkeys(_ENDPOINTS, server.url) | statsd, server


def _drained(
    folder: Path, env: Mapping[str, str], rounds: int, requests: int, progress: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """A backlog worked off: receivers and forwarder on cores of their own, CPU time is the forwarder's alone."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in SETS}
    names = list(SETS)
    for index in range(rounds):
        progress(f"forwarder: backlog {index + 1} of {rounds}")
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            home = folder / f"backlog-{index}-{name}"
            events = _write_backlog(home, requests, seed=index)
            taken[name].append(_drain(home, SETS[name], env, events))
    return {name: {what: median(row[what] for row in rows) for what in rows[0]} for name, rows in taken.items()}


def _write_backlog(home: Path, requests: int, *, seed: int) -> int:
    events = recorded(requests, now=datetime.now(UTC), seed=seed, within_s=30.0)
    segment, written = None, 0
    for event in events:
        segment = segment or create_segment(service_folder(home / "spool", "chat"))
        written += os.write(segment.fd, encode(event))
        if written > 8 << 20:
            close_segment(segment)
            segment, written = None, 0
    if segment:
        close_segment(segment)
    return len(events)


def _drain(home: Path, sinks: tuple[str, ...], env: Mapping[str, str], events: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.forward_worker", str(home), *sinks]
    with pinned(SERVICE_CORE):
        done = subprocess.run(
            command, cwd=_TESTS, env=dict(env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True
        )
    told = json.loads(done.stderr.splitlines()[-1])
    if told["waiting"] or set(told["acknowledged"].values()) != {events}:
        raise RuntimeError(f"{events} events, {told['acknowledged']} acknowledged, {told['waiting']} segments left")
    per_core = events / told["cpu_s"]
    return {"per_s_and_core": per_core, "per_s": events / told["seconds"], "peak_mb": told["peak_mb"]}


@dataclass(slots=True)
class _Beside:
    """A saturated service, and what forwards its spool: nobody for one that is alone."""

    server: Server
    home: Path
    sinks: tuple[str, ...]
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def lag(self) -> tuple[float, int]:
        """Seconds and bytes that the slowest sink is behind."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health") as reply:
            sinks = json.loads(reply.read())["sinks"].values()
        return max(sink["lag_ms"] for sink in sinks) / 1000, max(sink["waiting_bytes"] for sink in sinks)

    def settle(self) -> float:
        """Wait until all is forwarded; seconds that took. A spool that nobody forwards is emptied."""
        began = time.monotonic()
        if not self.process:
            for segment in closed_segments(service_folder(self.home / "spool", SAMPLE)):
                segment.path.unlink()
            return 0.0
        while self.lag()[1]:
            if time.monotonic() - began > _DRAIN_S:
                raise RuntimeError(f"the forwarder to {self.sinks} did not catch up in {_DRAIN_S:g} s")
            time.sleep(0.1)
        return time.monotonic() - began


def _beside(folder: Path, env: Mapping[str, str], rounds: int, progress: Callable[[str], None]) -> dict[str, Any]:
    with _all(folder, env) as sides, pinned(LOAD_CORE):
        for side in sides.values():
            saturate(side.server.url, PING, 1.0)
            side.settle()
        taken: dict[str, list[float]] = {name: [] for name in sides}
        names = list(sides)
        for index in range(rounds):
            progress(f"forwarder: beside a service, round {index + 1} of {rounds}")
            turn = index % len(names)
            for name in names[turn:] + names[:turn]:
                taken[name].append(_p99_ms(saturate(sides[name].server.url, PING, WINDOW_S)))
                sides[name].settle()
        sustained = {name: _sustained(sides[name], progress) for name in BESIDE}
        for name in BESIDE:
            _check(sides[name])
    return {"p99": _verdicts(taken), "sustained": sustained}


@contextmanager
def _all(folder: Path, env: Mapping[str, str]) -> Iterator[dict[str, _Beside]]:
    """A service of its own for each, all on one core; only the one that is asked works."""
    with ExitStack() as stack:
        sides: dict[str, _Beside] = {}
        for name, sinks in {ALONE: (), AGAIN: (), **{name: SETS[name] for name in BESIDE}}.items():
            home = folder / f"beside-{len(sides)}"
            with pinned(SERVICE_CORE):
                own = {
                    "SAMPLE_MODE": "lean",
                    "SAMPLE_HOME": str(home),
                    "TOLLMETER_SEGMENT_MAX_AGE_S": str(_SEGMENT_AGE_S),
                }
                server = stack.enter_context(running(SERVICE, own))
            sides[name] = _Beside(server, home, sinks)
            if sinks:
                stack.enter_context(_forwarding(sides[name], env))
        yield sides


@contextmanager
def _forwarding(side: _Beside, env: Mapping[str, str]) -> Iterator[None]:
    side.port = free_port()
    command = [sys.executable, "-m", "tollmeter.cli.main", "forward", "--json", "--health-port", str(side.port)]
    command += ["--home", str(side.home), *(part for sink in side.sinks for part in ("--sink", sink))]
    with pinned(LOAD_CORE):
        side.process = subprocess.Popen(command, env=dict(env), stdout=subprocess.PIPE)
    try:
        _await(side)
        yield
    finally:
        if side.process.poll() is None:
            side.process.kill()
        side.process.wait()


def _await(side: _Beside) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            side.lag()
        except (OSError, ValueError):  # not up yet, or before its first round
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the forwarder to {side.sinks} did not come up")


def _sustained(side: _Beside, progress: Callable[[str], None]) -> dict[str, float]:
    """The lag in the middle and at the end of a long window, what came in, and what the forwarder used of its core."""
    progress(f"forwarder: sustained beside {', '.join(side.sinks)}, 1 of 1")
    assert side.process
    cpu = cpu_ns(side.process.pid)
    first = len(saturate(side.server.url, PING, SUSTAINED_S / 2))
    middle_s, _ = side.lag()
    second = len(saturate(side.server.url, PING, SUSTAINED_S / 2))
    end_s, waiting = side.lag()
    used = (cpu_ns(side.process.pid) - cpu) / 1e9 / SUSTAINED_S
    settled_s = side.settle()
    events = first + second
    return {
        "in_per_s": events / SUSTAINED_S,
        "out_per_s": events / (SUSTAINED_S + settled_s),
        "middle_lag_s": middle_s,
        "end_lag_s": end_s,
        "end_waiting_bytes": waiting,
        "settled_s": settled_s,
        "core_share": used,
    }


def _check(side: _Beside) -> None:
    """Every sink accounted for every event; who drops much would be fast for the wrong reason."""
    assert side.process
    side.process.send_signal(signal.SIGTERM)
    out, _ = side.process.communicate(timeout=120)
    counts = json.loads(out)["counts"]
    for sink in side.sinks:
        produced, acknowledged = (counts.get(f"{sink}.{what}", 0) for what in ("produced", "acknowledged"))
        if not produced or produced != acknowledged:
            raise RuntimeError(f"{sink}: {produced} events, {acknowledged} acknowledged")


def _p99_ms(seconds: list[float]) -> float:
    return 1000 * quantiles(seconds, n=100)[98]


def _verdicts(taken: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """p99 by variant, with the ratio to the service alone; the bar is `MOST` or how far two alone are apart."""
    rows: dict[str, dict[str, float]] = {}
    base = taken[ALONE]
    for name, values in taken.items():
        found = difference([1.0] * len(values), [value / alone for value, alone in zip(values, base, strict=True)])
        rows[name] = {"p99_ms": median(values), "times": 1 + found.median, "low": 1 + found.low, "high": 1 + found.high}
    spread = max(MOST, rows[AGAIN]["high"], 1 / rows[AGAIN]["low"])
    return {name: {**row, "bar": spread, "met": row["high"] <= spread} for name, row in rows.items()}
