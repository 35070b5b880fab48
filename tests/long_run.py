"""Many requests through an instrumented app in one process, and the memory it takes: `long_run.py REQUESTS EARLY`.

Prints JSON: resident bytes after the first requests and after all, and what was written.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2

from tollmeter.instrumentation import annotate, current_request, evaluate, instrument, step
from tollmeter.model.spool import closed_segments, service_folder

SEED = int(os.environ.get("TOLLMETER_SEED", "20261124"))
SERVICE = "long-run"
ROUTES = [f"/route/{n}/{{id}}" for n in range(100)]
CALL_SHARE, STREAM_SHARE, ERROR_SHARE, LEFT_SHARE = 0.1, 0.5, 0.02, 0.1
_URL = "https://api.openai.com/v1/chat/completions"
_HEAD = {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o-mini-2024-07-18"}
_USAGE = {"prompt_tokens": 128, "completion_tokens": 32, "total_tokens": 160}
_SWEEP = 10_000


class Chunks(httpx2.AsyncByteStream):
    """A stream of twenty events."""

    def __init__(self, word: str) -> None:
        deltas = [_HEAD | {"choices": [{"index": 0, "delta": {"content": f"{word} "}}]}] * 19
        self._parts = [
            f"data: {json.dumps(each)}\n\n".encode() for each in (*deltas, _HEAD | {"choices": [], "usage": _USAGE})
        ]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


def _answer(request: httpx2.Request) -> httpx2.Response:
    word = request.headers["x-word"]
    headers = {"x-request-id": f"req_{word}"}
    if b'"stream": true' in request.content:
        return httpx2.Response(200, headers=headers | {"content-type": "text/event-stream"}, stream=Chunks(word))
    choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": word}}
    return httpx2.Response(200, headers=headers, json=_HEAD | {"choices": [choice], "usage": _USAGE})


class Load:
    """Serves requests that differ: routes, users, tags, sizes, ends."""

    def __init__(self, home: Path) -> None:
        self._dice = random.Random(SEED)
        self._client = httpx2.AsyncClient(transport=httpx2.MockTransport(_answer))
        self._home = home
        self._app: Any = instrument(
            self._serve, mode="lean", service=SERVICE, home=str(home), headers={"tenant_id": "x-tenant"},
            capture_content="all", capture_ratio=0.1, segment_max_bytes=4 << 20,
        )  # fmt: skip
        self.bytes = self.lines = 0

    async def run(self, count: int) -> None:
        """Serve so many requests."""
        for number in range(count):
            await self._request()
            await asyncio.sleep(0)  # or the loop never closes the generators of streams that were left
            if number % _SWEEP == 0:
                self.sweep()

    def sweep(self) -> None:
        """Count and delete what is closed, as a forwarder would."""
        for segment in closed_segments(service_folder(self._home / "spool", SERVICE)):
            data = segment.path.read_bytes()
            self.bytes += len(data)
            self.lines += data.count(b"\n")
            segment.path.unlink()

    def close(self) -> None:
        """Close the segment, and sweep."""
        self._app.recorder.close()
        self.sweep()

    async def _request(self) -> None:
        dice = self._dice
        route = _Route(dice.choice(ROUTES))
        headers = [
            (b"x-tenant", b"tenant-%d" % dice.randrange(10**6)),
            (b"x-request-id", b"%032x" % dice.getrandbits(128)),
        ]
        scope = {"type": "http", "method": "GET", "path": f"/{dice.random()}", "headers": headers, "route": route}
        with suppress(ZeroDivisionError):
            await self._app(scope, _receive, _send)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        dice = self._dice
        annotate(user_id=f"user-{dice.getrandbits(64)}", tags={f"tag{dice.randrange(1000)}": dice.random()})
        with step(f"step {dice.randrange(10**6)}"):
            if dice.random() < CALL_SHARE:
                await self._call()
        if dice.random() < ERROR_SHARE:
            raise ZeroDivisionError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def _call(self) -> None:
        dice = self._dice
        stream = dice.random() < STREAM_SHARE
        word = f"{dice.getrandbits(96):024x}"
        body = json.dumps({"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": word}]})
        sent = self._client.stream(
            "POST", _URL, content=body, headers={"x-word": word, "authorization": f"Bearer {word}"}
        )
        async with sent as response:
            async for _ in response.aiter_bytes():
                if dice.random() < LEFT_SHARE / 20:
                    break
        request = current_request()
        if request is not None:
            evaluate(request.last_call_id, "length", len(word), comment=word)


class _Route:
    def __init__(self, path: str) -> None:
        self.path = path


async def _receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(_: Any) -> None:
    return


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _results(count: int, early: int) -> Iterator[tuple[str, Any]]:
    with tempfile.TemporaryDirectory() as home, asyncio.Runner() as runner:
        load, began = Load(Path(home)), time.monotonic()
        runner.run(load.run(early))
        yield "early_bytes", _resident()
        runner.run(load.run(count - early))
        yield "late_bytes", _resident()
        yield "seconds", time.monotonic() - began
        load.close()
        yield "lines", load.lines
        yield "written_bytes", load.bytes
        yield "seed", SEED


if __name__ == "__main__":
    print(json.dumps(dict(_results(int(sys.argv[1]), int(sys.argv[2])))))  # noqa: T201  what it is for
