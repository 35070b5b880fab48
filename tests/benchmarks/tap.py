"""What the tap costs a call of the OpenAI SDK, beside the official GenAI OpenAI instrumentation; no sockets.

All variants take turns in one process, switched on and off between windows, so that they differ by nothing else. Run as
a worker (`python -m benchmarks.tap HOME`) it reads `COUNT VARIANT: CASE` from stdin and answers CPU µs per call.
"""

from __future__ import annotations

import gc
import gzip
import json
import sys
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.cpu import SERVICE_CORE, pinned
from benchmarks.paired import difference, share
from benchmarks.worker import Worker, serve

BARE, OTEL, TAP = "bare", "OpenTelemetry", "Tollmeter"
VARIANTS = (BARE, OTEL, TAP)


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of call: how many chunks its answer has (0: no stream), compressed or not, and calls per round."""

    chunks: int
    encoding: str
    count: int

    @property
    def name(self) -> str:
        """As the page says it."""
        kind = f"stream of {self.chunks} chunks" if self.chunks else "plain call"
        return f"{kind}, gzip" if self.encoding else kind


SHORT, LONG = 22, 200
_WARM_UP = 20
_SWITCHED = 4
"""Calls after every switch that are not counted."""

CASES = {
    case.name: case
    for encoding in ("", "gzip")
    for case in (Case(0, encoding, 60), Case(SHORT, encoding, 20), Case(LONG, encoding, 8))
}


def measure(rounds: int, progress: Callable[[str], None]) -> dict[str, object]:
    """CPU µs per call of every case and variant; what each adds to bare, and Tollmeter's share of OpenTelemetry's."""
    taken: dict[str, dict[str, list[float]]] = {name: {variant: [] for variant in VARIANTS} for name in CASES}
    with tempfile.TemporaryDirectory() as home, pinned(SERVICE_CORE):
        worker = Worker("benchmarks.tap", home)
        for name in CASES:
            for variant in VARIANTS:
                worker.run(f"{variant}: {name}", _WARM_UP)
        for index in range(rounds):
            progress(f"tap: round {index + 1} of {rounds}")
            turn = index % len(VARIANTS)
            for name, case in CASES.items():
                for variant in VARIANTS[turn:] + VARIANTS[:turn]:
                    taken[name][variant].append(worker.run(f"{variant}: {name}", case.count))
        worker.stop()
    return {"calls": {name: _row(values) for name, values in taken.items()}, "chunk": _per_chunk(taken)}


def _row(values: dict[str, list[float]]) -> dict[str, object]:
    bare, ours, theirs = values[BARE], difference(values[BARE], values[TAP]), difference(values[BARE], values[OTEL])
    part = share(bare, values[TAP], bare, values[OTEL])
    return {
        "bare_us": median(bare),
        TAP: {"added_us": ours.median, "low": ours.low, "high": ours.high},
        OTEL: {"added_us": theirs.median, "low": theirs.low, "high": theirs.high},
        "times_less": theirs.median / ours.median,
        "times_less_at_worst": 1 / part.high,
    }


def _per_chunk(taken: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """What one further chunk costs: the long stream less the short one, over the difference in chunks."""
    found = {}
    for encoding in ("", "gzip"):
        short, long = (taken[Case(chunks, encoding, 0).name] for chunks in (SHORT, LONG))
        steps = {
            variant: [(more - less) / (LONG - SHORT) for less, more in zip(short[variant], long[variant], strict=True)]
            for variant in VARIANTS
        }
        for variant in (OTEL, TAP):
            row = difference(steps[BARE], steps[variant])
            name = f"{variant}, gzip" if encoding else variant
            found[name] = {"added_us": row.median, "low": row.low, "high": row.high}
    return found


# --- the worker ----------------------------------------------------------------------------------------------------

_HEAD = {
    "id": "chatcmpl-CfqZ3ZqXz1k7Hs0tYw9", "object": "chat.completion.chunk", "created": 1_764_000_000,
    "model": "gpt-4o-mini-2024-07-18", "service_tier": "default", "system_fingerprint": "fp_34a54ae93c",
}  # fmt: skip
_USAGE = {
    "prompt_tokens": 128, "completion_tokens": 32, "total_tokens": 160,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}  # fmt: skip
_RATES = {f"x-ratelimit-{what}-{unit}": "9999" for what in ("limit", "remaining") for unit in ("requests", "tokens")}
_HEADERS = _RATES | {"x-request-id": "req_2d6f1c", "openai-processing-ms": "412", "openai-version": "2020-10-01"}


def _events(chunks: int) -> list[bytes]:
    """An answer as OpenAI streams it; usage is its last but one event."""
    said: dict[str, Any] = {"index": 0, "delta": {"content": " token"}, "logprobs": None, "finish_reason": None}
    documents: list[dict[str, Any]] = [_HEAD | {"choices": [said], "usage": None, "obfuscation": "aBcDeFgH"}]
    documents *= chunks - 3
    documents.append(_HEAD | {"choices": [said | {"delta": {}, "finish_reason": "stop"}], "usage": None})
    documents.append(_HEAD | {"choices": [], "usage": _USAGE})
    lines = [json.dumps(document, separators=(",", ":")).encode() for document in documents]
    return [b"data: " + line + b"\n\n" for line in (*lines, b"[DONE]")]


def _answer() -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "token " * 30}, "finish_reason": "stop"}
    return json.dumps(_HEAD | {"object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()


def _gzipped(chunks: list[bytes]) -> list[bytes]:
    """Each chunk compressed and flushed by itself, as a proxy that streams does it."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    packed = [packer.compress(chunk) + packer.flush(zlib.Z_SYNC_FLUSH) for chunk in chunks]
    return [*packed[:-1], packed[-1] + packer.flush()]


def model_client() -> Any:
    """The OpenAI SDK over an upstream in memory; the header `x-case` names the answer."""
    import httpx2
    from openai import AsyncOpenAI

    bodies = {case.name: _events(case.chunks) if case.chunks else [_answer()] for case in CASES.values()}
    for name, case in CASES.items():
        if case.encoding:
            bodies[name] = _gzipped(bodies[name]) if case.chunks else [gzip.compress(bodies[name][0])]

    class Stream(httpx2.AsyncByteStream):
        def __init__(self, chunks: list[bytes]) -> None:
            self._chunks = iter(chunks)  # the SDK stops at `[DONE]`, and what is left is drained: never from the start

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in self._chunks:
                yield chunk

    class Transport(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            case = CASES[request.headers["x-case"]]
            kind = "text/event-stream" if case.chunks else "application/json"
            headers = _HEADERS | {"content-type": kind} | ({"content-encoding": "gzip"} if case.encoding else {})
            return httpx2.Response(200, headers=headers, stream=Stream(bodies[case.name]))

    return AsyncOpenAI(api_key="sk-loopback", http_client=httpx2.AsyncClient(transport=Transport()))


def _opentelemetry() -> tuple[Any, Any]:
    """The official instrumentation and its tracers; spans and metrics are made, but thrown away instead of sent."""
    from opentelemetry import metrics, trace
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            del spans
            return SpanExportResult.SUCCESS

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    return OpenAIInstrumentor(), tracers


class _Switch:
    """Turns one variant on for a while."""

    def __init__(self, home: str) -> None:
        from httpx2 import AsyncClient

        from tollmeter.instrumentation import instrument

        self._class: Any = AsyncClient
        self._plain = AsyncClient.send
        instrument(mode="lean", home=home, service="tap")
        self._tapped = AsyncClient.send
        self._otel, self._tracers = _opentelemetry()

    @contextmanager
    def on(self, variant: str) -> Iterator[None]:
        """The variant, and nothing else."""
        self._class.send = self._tapped if variant == TAP else self._plain
        if variant != OTEL:
            yield
            return
        self._otel.instrument()
        yield
        self._otel.uninstrument()

    def settle(self, variant: str) -> None:
        """Let what waits in a queue be worked off, so that no other variant pays for it."""
        if variant == OTEL:
            self._tracers.force_flush()


def _main(home: str) -> None:
    client, switch = model_client(), _Switch(home)
    asked: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How is usage counted?"}]}

    async def call(case: Case) -> None:
        options: dict[str, Any] = {"extra_headers": {"x-case": case.name}}
        if not case.chunks:
            await client.chat.completions.create(**asked, **options)
            return
        options["stream_options"] = {"include_usage": True}
        async for _ in await client.chat.completions.create(**asked, stream=True, **options):
            pass

    async def timed(name: str, count: int) -> float:
        variant, _, case = name.partition(": ")
        with switch.on(variant):
            # What is switched on pays for its first calls: classes are patched, and the interpreter specialises anew.
            for _ in range(_SWITCHED):
                await call(CASES[case])
            switch.settle(variant)
            gc.collect()
            start = time.process_time_ns()
            for _ in range(count):
                await call(CASES[case])
            switch.settle(variant)
            return (time.process_time_ns() - start) / count / 1000

    serve(timed)


if __name__ == "__main__":
    _main(sys.argv[1])
