"""What the tap costs a call of the OpenAI SDK, beside the official GenAI OpenAI instrumentation; no sockets.

All variants take turns in one process, call by call and in every order, so that a busy machine is as slow for each. Run
as a worker (`python -m benchmarks.tap HOME`) it reads `COUNT CASE` from stdin and answers the CPU µs of every call.
"""

from __future__ import annotations

import gc
import gzip
import itertools
import json
import random
import sys
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from types import MethodType
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
_WARM_UP = 24
_ORDERS = list(itertools.permutations(VARIANTS))

CASES = {
    case.name: case
    for encoding in ("", "gzip")
    for case in (Case(0, encoding, 60), Case(SHORT, encoding, 24), Case(LONG, encoding, 12))
}


def measure(rounds: int, progress: Callable[[str], None]) -> dict[str, object]:
    """CPU µs per call of every case and variant; what each adds to bare, and Tollmeter's share of OpenTelemetry's."""
    taken: dict[str, dict[str, list[float]]] = {name: {variant: [] for variant in VARIANTS} for name in CASES}
    with tempfile.TemporaryDirectory() as home, pinned(SERVICE_CORE):
        worker = Worker("benchmarks.tap", home)
        for name in CASES:
            worker.ask(name, _WARM_UP)
        for index in range(rounds):
            progress(f"tap: round {index + 1} of {rounds}")
            for name, case in CASES.items():
                for variant, value in _of_round(json.loads(worker.ask(name, case.count))).items():
                    taken[name][variant].append(value)
        worker.stop()
    return {"calls": {name: _row(values) for name, values in taken.items()}, "chunk": _per_chunk(taken)}


def _of_round(calls: dict[str, list[float]]) -> dict[str, float]:
    """One value per variant: the median of what bare calls took, and over it that of the differences call by call."""
    bare = median(calls[BARE])
    return {
        variant: bare + median(theirs - plain for plain, theirs in zip(calls[BARE], calls[variant], strict=True))
        for variant in VARIANTS
    }


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


Create = Callable[..., Awaitable[Any]]


def _variants(home: str) -> tuple[dict[str, Callable[[], Create]], Callable[[], None]]:
    """How each variant looks up `chat.completions.create`, and what works off the spans that wait.

    Nothing is switched on or off: each has a client whose `send` is the one it has to be, and all but OpenTelemetry the
    `create` that was there before.
    """
    from httpx2 import AsyncClient
    from openai.resources.chat.completions import AsyncCompletions

    from tollmeter.instrumentation import instrument

    sends, create = {BARE: AsyncClient.send, OTEL: AsyncClient.send}, AsyncCompletions.create
    instrument(mode="lean", home=home, service="tap")
    sends[TAP] = AsyncClient.send
    instrumentor, tracers = _opentelemetry()
    instrumentor.instrument()
    clients = {variant: model_client() for variant in VARIANTS}
    for variant, client in clients.items():
        client._client.send = MethodType(sends[variant], client._client)
    completions = {variant: client.chat.completions for variant, client in clients.items()}
    creates: dict[str, Callable[[], Create]] = {
        BARE: lambda: MethodType(create, completions[BARE]),
        TAP: lambda: MethodType(create, completions[TAP]),
        OTEL: lambda: completions[OTEL].create,
    }
    return creates, tracers.force_flush


def _main(home: str) -> None:
    creates, flush = _variants(home)
    asked: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How is usage counted?"}]}

    async def call(variant: str, case: Case) -> None:
        options: dict[str, Any] = {"extra_headers": {"x-case": case.name}}
        if not case.chunks:
            await creates[variant]()(**asked, **options)
            return
        options["stream_options"] = {"include_usage": True}
        async for _ in await creates[variant]()(**asked, stream=True, **options):
            pass

    async def timed(name: str, count: int) -> str:
        taken: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        dice = random.Random(count)
        gc.collect()
        gc.freeze()  # or some calls pay for walking all that was ever imported
        before = time.process_time_ns() - time.thread_time_ns()
        orders: list[tuple[str, ...]] = []
        for index in range(count):
            if index % len(_ORDERS) == 0:
                orders = dice.sample(_ORDERS, len(_ORDERS))
            for variant in orders[index % len(_ORDERS)]:
                start = time.thread_time_ns()
                await call(variant, CASES[name])
                taken[variant].append((time.thread_time_ns() - start) / 1000)
        flush()
        elsewhere = (time.process_time_ns() - time.thread_time_ns() - before) / count / 1000
        taken[OTEL] = [each + elsewhere for each in taken[OTEL]]  # its exporter is the one thread that does anything
        return json.dumps(taken)

    serve(timed)


if __name__ == "__main__":
    _main(sys.argv[1])
