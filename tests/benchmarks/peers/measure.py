"""What Tollmeter adds to a service beside what others add: in one process each, without sockets."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.cpu import LOAD_CORE, SERVICE_CORE, pinned
from benchmarks.paired import difference, share
from benchmarks.peers.worker import CROWDED, PING, PLAIN, STREAM, WORKLOADS
from benchmarks.worker import Worker
from sdks.venvs import ROOT, python_of

from tollmeter.cli.sample.server import Server, running

BARE, LEAN = "bare", "Tollmeter lean"
LEAST_SPAN_BYTES = 100
"""Of a span in any of the formats, uncompressed: its ids, times and name alone take about as many."""
COUNTS = {PING: 80, PLAIN: 25, STREAM: 3, CROWDED: 80}
_SETS = Path(__file__).parent
_PATHS = os.pathsep.join(map(str, (ROOT / "instrumentation", ROOT / "tests")))
_SINK = "benchmarks.sink:create_sink"


class Peer(NamedTuple):
    """Who is measured, in which set, and which share of what it adds is ours to keep below, by workload."""

    variant: str
    requirements: str
    bars: dict[str, int]


OURS = Peer(LEAN, "otel", {})
PEERS = (
    Peer("contrib FastAPI", "otel", {PING: 12}),
    Peer("contrib + GenAI OpenAI", "otel", {PLAIN: 20, STREAM: 25}),
    Peer("ddtrace + LLM Observability", "ddtrace", {PLAIN: 20, STREAM: 18}),
    Peer("Traceloop + contrib", "traceloop", {PLAIN: 30, STREAM: 60}),
)
_Values = dict[str, dict[str, list[float]]]


def measure(rounds: int, progress: Callable[[str], None]) -> dict[str, object]:
    """Interleaved rounds over all peers, each beside the bare service of its own set."""
    with tempfile.TemporaryDirectory() as home, _workers(Path(home)) as (workers, sinks):
        taken: _Values = {name: {workload: [] for workload in WORKLOADS} for name in workers}
        names = list(workers)
        for index in range(-1, rounds):
            progress(f"peers: round {index + 1} of {rounds}")
            turn = index % len(names)
            for workload in WORKLOADS:
                for name in names[turn:] + names[:turn]:
                    value = workers[name].run(workload, COUNTS[workload])
                    if index >= 0:  # the first round warms up
                        taken[name][workload].append(value)
        _check(sinks, rounds)
    return {"added": _added(taken), "bars": _bars(taken), "imports": _imports(max(5, rounds // 3))}


@contextmanager
def _workers(home: Path) -> Iterator[tuple[dict[str, Worker], dict[str, Server]]]:
    """A worker for each peer and each bare service, and the sink each peer sends to."""
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        sinks: dict[str, Server] = {}
        for peer in (OURS, *PEERS):
            with pinned(LOAD_CORE):
                sink = stack.enter_context(running(_SINK, {"PYTHONPATH": str(_SETS.parents[1])}))
            if peer in PEERS:
                sinks[peer.variant] = sink
            python = python_of(peer.requirements, _SETS)
            with pinned(SERVICE_CORE):
                for name, variant in ((_bare(peer), BARE), (peer.variant, peer.variant)):
                    if name not in workers:
                        command = ("benchmarks.peers.worker", variant, sink.url, str(home))
                        workers[name] = Worker(*command, python=python, path=_PATHS)
        yield workers, sinks
        for worker in workers.values():
            worker.stop()


def _check(sinks: dict[str, Server], rounds: int) -> None:
    """Spans of every request reached the sink; a peer whose spans went nowhere would be cheap for the wrong reason.

    Raises:
        RuntimeError: a peer's sink got less than one span takes for each request that was timed.
    """
    least = LEAST_SPAN_BYTES * sum(COUNTS.values()) * (rounds + 1)
    for name, sink in sinks.items():
        with urllib.request.urlopen(f"{sink.url}/ping") as reply:
            received = int(reply.read())
        if received < least:
            raise RuntimeError(
                f"{name}: {received:,} bytes reached its sink, and at least {least:,} belong to its spans"
            )


def _bare(peer: Peer) -> str:
    return f"{BARE} ({peer.requirements})"


def _added(taken: _Values) -> dict[str, dict[str, dict[str, float]]]:
    return {workload: {peer.variant: _row(taken, peer, workload) for peer in (OURS, *PEERS)} for workload in WORKLOADS}


def _row(taken: _Values, peer: Peer, workload: str) -> dict[str, float]:
    bare = taken[_bare(peer)][workload]
    found = difference(bare, taken[peer.variant][workload])
    return {"bare_us": median(bare), "added_us": found.median, "low": found.low, "high": found.high}


def _bars(taken: _Values) -> list[dict[str, object]]:
    """Every bar: the share of what a peer adds that is ours, and whether its upper end keeps below."""
    rows: list[dict[str, object]] = []
    for peer in PEERS:
        for workload, times in peer.bars.items():
            ours, theirs = taken[LEAN][workload], taken[peer.variant][workload]
            found = share(taken[_bare(OURS)][workload], ours, taken[_bare(peer)][workload], theirs)
            row = {"peer": peer.variant, "workload": workload, "times": 1 / found.median, "at_worst": 1 / found.high}
            rows.append({**row, "bar": times, "met": found.high * times <= 1})
    lean = taken[LEAN]
    few, many = (difference(taken[_bare(OURS)][workload], lean[workload]) for workload in (PING, CROWDED))
    met = many.median <= max(few.high, few.median * 1.1)
    row = {"peer": "ourselves with 8 routes", "workload": CROWDED, "times": few.median / many.median, "at_worst": None}
    return [*rows, {**row, "bar": 1, "met": met}]


_BASE = "import sys, time, fastapi, openai, decimal, uuid, msgspec"
_OURS = f"{_BASE}\nfrom tollmeter.instrumentation import annotate, instrument, step"
_STARTED = f"{_OURS}\ninstrument(fastapi.FastAPI(), mode='lean', home=sys.argv[1])"
# Not ru_maxrss, which a child takes over from the process that started it.
_TELL = "print(time.process_time_ns() / 1e6, int(open('/proc/self/statm').read().split()[1]) * 4096 / 1e6)"


def _imports(rounds: int) -> dict[str, dict[str, float]]:
    """CPU and memory that importing from us and `instrument(app)` add, FastAPI and the OpenAI SDK being loaded."""
    python = python_of(OURS.requirements, _SETS)
    told: dict[str, list[tuple[float, float]]] = {_BASE: [], _OURS: [], _STARTED: []}
    with pinned(SERVICE_CORE), tempfile.TemporaryDirectory() as home:
        for _ in range(rounds):
            for program, values in told.items():
                values.append(_imported(python, program, home))
    found = {}
    for index, what in enumerate(("cpu_ms", "rss_mb")):
        base, ours, started = ([value[index] for value in values] for values in told.values())
        for name, row in ((what, difference(base, ours)), (f"{what}_of_instrument", difference(ours, started))):
            found[name] = {"added": row.median, "low": row.low, "high": row.high}
    return found


def _imported(python: Path, program: str, home: str) -> tuple[float, float]:
    environ = os.environ | {"PYTHONPATH": _PATHS}
    command: list[str | Path] = [python, "-c", f"{program}\n{_TELL}", home]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    cpu, rss = done.stdout.split()
    return float(cpu), float(rss)


def versions() -> str:
    """The versions of what is compared."""
    wanted = (
        "ddtrace",
        "traceloop-sdk",
        "opentelemetry-instrumentation-fastapi",
        "opentelemetry-instrumentation-genai-openai",
    )
    pins = {line for path in sorted(_SETS.glob("*.txt")) for line in path.read_text().splitlines()}
    return ", ".join(sorted(pin.replace("==", " ") for pin in pins if pin.partition("==")[0] in wanted))


if __name__ == "__main__":
    sys.stdout.write(f"{measure(3, lambda _: None)}\n")
