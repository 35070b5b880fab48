"""What the parts themselves cost, in-process: middleware and tap.

Run as a worker (`python -m benchmarks.micro bare|lean HOME`) it reads `COUNT NAME` from stdin and answers CPU µs.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from statistics import median
from typing import Any

import httpx2
from benchmarks.cpu import SERVICE_CORE, pinned
from benchmarks.paired import difference
from benchmarks.worker import Worker, serve
from fastapi import FastAPI, Response

CHUNKS = 200
COLD = ", caches cold"
HOOKS = "middleware with trace, attribution, annotate and a step"
FEW, MANY = "FastAPI, 8 routes", "FastAPI, 100 routes"
PARTS = {
    "middleware": 3000,
    HOOKS: 2000,
    FEW: 400,
    MANY: 400,
    "plain call": 400,
    f"stream of {CHUNKS} chunks": 60,
    f"middleware{COLD}": 60,
    f"plain call{COLD}": 60,
}
_URL = "https://api.openai.com/v1/chat/completions"
_USAGE = {"prompt_tokens": 128, "completion_tokens": 32, "total_tokens": 160}


def measure(rounds: int, progress: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """CPU µs that lean mode adds to each part."""
    taken: dict[str, dict[str, list[float]]] = {name: {"bare": [], "lean": []} for name in PARTS}
    with tempfile.TemporaryDirectory() as home, pinned(SERVICE_CORE):
        workers = {variant: Worker("benchmarks.micro", variant, home) for variant in ("bare", "lean")}
        for worker in workers.values():
            for name, count in PARTS.items():
                worker.run(name, max(2, count // 4))
        for index in range(rounds):
            progress(f"parts: round {index + 1} of {rounds}")
            for name, count in PARTS.items():
                for variant in ("bare", "lean") if index % 2 else ("lean", "bare"):
                    taken[name][variant].append(workers[variant].run(name, count))
        for worker in workers.values():
            worker.stop()
    return {name: _row(values["bare"], values["lean"]) for name, values in taken.items()}


def _row(bare: list[float], lean: list[float]) -> dict[str, float]:
    found = difference(bare, lean)
    return {"bare_us": median(bare), "added_us": found.median, "low": found.low, "high": found.high}


# --- the worker ----------------------------------------------------------------------------------------------------


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self) -> None:
        head = {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o-mini-2024-07-18"}
        deltas = [head | {"choices": [{"index": 0, "delta": {"content": "token "}}]}] * (CHUNKS - 1)
        documents = [*deltas, head | {"choices": [], "usage": _USAGE}]
        self.chunks = [b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents]
        self.plain = json.dumps(head | {"choices": [{"finish_reason": "stop"}], "usage": _USAGE}).encode()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if b'"stream": true' in request.content:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=self._stream())
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=self.plain)

    async def _stream(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


_PLAIN = ((b"host", b"x"),)
_TRACED = (
    *_PLAIN,
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    (b"x-tenant-id", b"acme"),
    (b"x-user-id", b"user-17"),
)


async def _request(app: Any, headers: tuple[tuple[bytes, bytes], ...] = _PLAIN) -> None:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/ping",
        "headers": list(headers),
        "query_string": b"",
    }
    scope |= {"http_version": "1.1", "scheme": "http", "root_path": "", "client": None, "server": None}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        return

    await app(scope, receive, send)


def _routed(count: int) -> FastAPI:
    """An app whose last route is the one asked for."""
    app = FastAPI()

    async def answer() -> Response:
        return Response(b"ok")

    for number in range(count - 1):
        app.get(f"/other-{number}/{{item}}")(answer)
    app.get("/ping")(answer)
    return app


async def _call(client: httpx2.AsyncClient, body: bytes) -> None:
    async with client.stream("POST", _URL, content=body) as response:
        async for _ in response.aiter_bytes():
            pass


async def _timed(turn: Callable[[], Awaitable[None]], count: int) -> float:
    start = time.process_time_ns()
    for _ in range(count):
        await turn()
    return (time.process_time_ns() - start) / count / 1000


_OTHER_MEMORY = bytes(8 << 20)
"""Larger than the caches of a core."""


async def _timed_cold(turn: Callable[[], Awaitable[None]], count: int) -> float:
    """As in a service, where between two turns other code has filled the caches; that is not timed."""
    used = 0
    for _ in range(count):
        _OTHER_MEMORY.count(b"x")
        start = time.process_time_ns()
        await turn()
        used += time.process_time_ns() - start
    return used / count / 1000


def _worker(variant: str, home: str) -> None:
    app: Any = _app
    hooked: Any = _app
    few, many = _routed(8), _routed(100)
    if variant == "lean":
        from tollmeter.instrumentation import annotate, instrument, step

        async def using(scope: Any, receive: Any, send: Any) -> None:
            annotate(feature="chat")
            with step("look up"):
                await _app(scope, receive, send)

        common: dict[str, Any] = {"mode": "lean", "home": home, "service": "micro"}
        app = instrument(_app, **common)
        hooked = instrument(using, headers={"tenant_id": "x-tenant-id", "user_id": "x-user-id"}, **common)
        instrument(few, **common)
        instrument(many, **common)
    client = httpx2.AsyncClient(transport=_Transport())
    plain, stream = b'{"model": "gpt-4o-mini"}', b'{"model": "gpt-4o-mini", "stream": true}'
    turns: dict[str, Callable[[], Awaitable[None]]] = {
        "middleware": lambda: _request(app),
        HOOKS: lambda: _request(hooked, _TRACED),
        FEW: lambda: _request(few),
        MANY: lambda: _request(many),
        "plain call": lambda: _call(client, plain),
        f"stream of {CHUNKS} chunks": lambda: _call(client, stream),
    }

    def timed(name: str, count: int) -> Awaitable[float]:
        turn = turns[name.removesuffix(COLD)]
        return _timed_cold(turn, count) if name.endswith(COLD) else _timed(turn, count)

    serve(timed)


if __name__ == "__main__":
    _worker(sys.argv[1], sys.argv[2])
