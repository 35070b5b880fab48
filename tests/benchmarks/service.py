"""CPU per request of the sample service: bare, with OpenTelemetry, and with Tollmeter in both modes."""

from __future__ import annotations

import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import msgspec
from benchmarks.cpu import LOAD_CORE, SERVICE_CORE, cpu_ns, pinned
from benchmarks.load import PING, PLAIN, STREAM, WORKLOADS, Workload, send_requests
from benchmarks.paired import difference

from tollmeter.cli.sample.server import SERVICE, UPSTREAM, Server, running
from tollmeter.model.events import LlmCall, Request, decode

TESTS = Path(__file__).resolve().parents[1]
BARE, OTEL, LEAN, BOTH = "bare", "OpenTelemetry", "Tollmeter lean", "Tollmeter otel"
VARIANTS = (BARE, OTEL, LEAN, BOTH)
WEIGHT = {PING.name: 5, PLAIN.name: 1, STREAM.name: 1}
"""A ping costs little, so that more of them are needed for a steady figure."""

_SINK = "benchmarks.sink:create_sink"
_OTEL_SERVICE = "benchmarks.otel_service:create_otel_app"
_SPAN_DELAY_MS = 200
_SETTLE_S = 0.35
"""Longer than the batch processor waits, so that the export of a round's spans is counted in that round."""

_WARM_UP = 60


@dataclass(slots=True)
class Result:
    """CPU µs per request by workload and variant, one value per round."""

    rounds: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: {workload.name: {variant: [] for variant in VARIANTS} for workload in WORKLOADS}
    )
    checks: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """Medians, and median differences from bare, and of OTel mode from OpenTelemetry, with their intervals."""
        return {name: {variant: self._row(name, variant) for variant in VARIANTS} for name in self.rounds}

    def _row(self, workload: str, variant: str) -> dict[str, float]:
        values = self.rounds[workload]
        row = {"cpu_us": median(values[variant])}
        if variant != BARE:
            found = difference(values[BARE], values[variant])
            row |= {"added_us": found.median, "low": found.low, "high": found.high}
        if variant == BOTH:
            over = difference(values[OTEL], values[BOTH])
            row |= {"over_us": over.median, "over_low": over.low, "over_high": over.high}
        return row


def measure(rounds: int, requests: int, progress: Callable[[str], None]) -> Result:
    """Interleaved rounds over all variants; the order of variants turns with every round."""
    result = Result()
    with tempfile.TemporaryDirectory() as folder, _servers(Path(folder)) as (servers, sink), pinned(LOAD_CORE):
        sent: Counter[str] = Counter()
        for workload in WORKLOADS:
            for variant, server in servers.items():
                send_requests(server.url, workload, _WARM_UP)
                sent[variant] += _WARM_UP
        for index in range(rounds):
            progress(f"service: round {index + 1} of {rounds}")
            for workload in WORKLOADS:
                count = requests * WEIGHT[workload.name]
                for variant in _turned(index):
                    result.rounds[workload.name][variant].append(_one(servers[variant], workload, count))
                    sent[variant] += count
        result.checks = _checked(Path(folder), sent, sink)
    return result


def _one(server: Server, workload: Workload, count: int) -> float:
    before = cpu_ns(server.process.pid)
    send_requests(server.url, workload, count)
    time.sleep(_SETTLE_S)
    return (cpu_ns(server.process.pid) - before) / count / 1000


def _turned(index: int) -> tuple[str, ...]:
    turn = index % len(VARIANTS)
    return VARIANTS[turn:] + VARIANTS[:turn]


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[dict[str, Server], Server]]:
    with ExitStack() as stack:
        common = {"PYTHONPATH": str(TESTS)}
        with pinned(LOAD_CORE):
            upstream = stack.enter_context(running(UPSTREAM))
            sink = stack.enter_context(running(_SINK, common))
        common |= {"SAMPLE_UPSTREAM_URL": f"{upstream.url}/v1"}
        otlp = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
            "OTEL_BSP_SCHEDULE_DELAY": str(_SPAN_DELAY_MS),
            "OTEL_SERVICE_NAME": "sample-assistant",
        }
        lean = {"SAMPLE_MODE": "lean", "SAMPLE_HOME": str(folder / "lean")}
        both = {"SAMPLE_MODE": "otel", "SAMPLE_HOME": str(folder / "otel")} | otlp
        with pinned(SERVICE_CORE):
            servers = {
                BARE: stack.enter_context(running(SERVICE, common | {"SAMPLE_INSTRUMENTED": "false"})),
                OTEL: stack.enter_context(running(_OTEL_SERVICE, common | otlp)),
                LEAN: stack.enter_context(running(SERVICE, common | lean)),
                BOTH: stack.enter_context(running(SERVICE, common | both)),
            }
        yield servers, sink


def _checked(folder: Path, sent: Counter[str], sink: Server) -> dict[str, str]:
    """What the variants recorded; a variant that recorded too little would be cheap for the wrong reason."""
    checks = {variant: _events(folder / name, sent[variant]) for variant, name in ((LEAN, "lean"), (BOTH, "otel"))}
    with urllib.request.urlopen(f"{sink.url}/ping") as reply:
        received = int(reply.read())
    if not received:
        raise RuntimeError("the OTLP sink received nothing")
    return checks | {OTEL: f"the sink received {received:,} bytes of OTLP"}


def _events(home: Path, sent: int) -> str:
    lines = [line for path in home.rglob("*.jsonl") for line in path.read_bytes().splitlines()]
    events = [_event(line) for line in lines]
    served = sum(isinstance(event, Request) and event.route != "" for event in events)
    calls = [event for event in events if isinstance(event, LlmCall)]
    priced = sum(call.cost_status == "priced" and call.usage_source == "reported" for call in calls)
    if served < sent or priced != len(calls) or not calls:
        raise RuntimeError(f"{sent} requests sent, {served} recorded; {priced} of {len(calls)} calls priced")
    return f"{served:,} requests and {priced:,} priced calls recorded"


def _event(line: bytes) -> object:
    try:
        return decode(line)
    except msgspec.DecodeError as error:
        raise RuntimeError(f"the spool holds a line that is no event: {line[:200]!r}") from error
