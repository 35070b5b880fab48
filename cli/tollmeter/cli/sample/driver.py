"""The load generator: sends the rows of a trace to the sample service over real HTTP and reads each answer in full.

A trace holds no model, route or tenant: they are chosen here, from the row's number alone, so that a replay repeats.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tollmeter.cli.sample import wire
from tollmeter.cli.sample.traces import TraceRow
from tollmeter.cli.sample.upstream import SNAPSHOTS

if TYPE_CHECKING:
    import httpx

SIMULATED: Final = "model,route,latency,tenant,user"
"""What a replayed event holds that its trace does not."""

_MODELS: Final = tuple(SNAPSHOTS)
_TENANTS: Final = ("acme", "globex", "initech", "umbrella")
_USERS: Final = 40
_TIMEOUT_S: Final = 60.0
_OK: Final = 200
_STREAM_END: Final = b"data: [DONE]\n\n"
_NO_ANSWER: Final = "no answer"
_CUT_SHORT: Final = "answer cut short"


@dataclass(slots=True)
class Outcome:
    """What a replay sent and got: complete answers with the tokens of their rows, and failures by kind."""

    rows: int = 0
    streamed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def count(self, row: TraceRow) -> None:
        """Add one complete answer."""
        self.rows += 1
        self.streamed += is_streamed(row)
        self.input_tokens += row.input_tokens
        self.output_tokens += row.output_tokens
        self.cached_tokens += row.cached_tokens


def is_streamed(row: TraceRow) -> bool:
    """Whether the row is sent as a streamed call: every second one is."""
    return row.index % 2 == 1


def drive(
    url: str,
    rows: Sequence[TraceRow],
    *,
    concurrency: int,
    real_time: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Send all rows to the service at `url` and wait for all answers; `real_time` keeps the trace's own pace."""
    return asyncio.run(_drive(url, rows, concurrency, real_time=real_time, progress=progress))


async def _drive(
    url: str,
    rows: Sequence[TraceRow],
    concurrency: int,
    *,
    real_time: bool,
    progress: Callable[[int], None] | None,
) -> Outcome:
    import httpx

    outcome, queue, start = Outcome(), iter(rows), time.monotonic()
    async with (
        httpx.AsyncClient(
            base_url=url, timeout=_TIMEOUT_S, trust_env=False, limits=httpx.Limits(max_connections=concurrency)
        ) as client,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(concurrency):
            group.create_task(_work(client, queue, outcome, start if real_time else None, progress))
    outcome.seconds = time.monotonic() - start
    return outcome


async def _work(
    client: httpx.AsyncClient,
    queue: Iterator[TraceRow],
    outcome: Outcome,
    start: float | None,
    progress: Callable[[int], None] | None,
) -> None:
    for row in queue:
        if start is not None:
            await asyncio.sleep(max(0.0, start + row.offset_s - time.monotonic()))
        problem = await _send(client, row)
        if problem:
            outcome.errors[problem] += 1
        else:
            outcome.count(row)
        if progress:
            progress(1)


async def _send(client: httpx.AsyncClient, row: TraceRow) -> str:
    """Send one row; returns what went wrong, empty when the whole answer came."""
    import httpx

    path, body = _call(row)
    try:
        response = await client.post(path, json=body, headers=_headers(row))
    except httpx.TransportError:
        return _NO_ANSWER
    if response.status_code != _OK:
        return f"HTTP {response.status_code}"
    if is_streamed(row) and not response.content.endswith(_STREAM_END):
        return _CUT_SHORT
    return ""


def _call(row: TraceRow) -> tuple[str, dict[str, object]]:
    model = _MODELS[row.index // 2 % len(_MODELS)]
    if row.index % 4 == 0:
        return "/summarize", {"model": model, "text": f"Row {row.index} of a trace."}
    messages = [{"role": "user", "content": f"Row {row.index} of a trace."}]
    return ("/chat/stream" if is_streamed(row) else "/chat"), {"model": model, "messages": messages}


def _headers(row: TraceRow) -> dict[str, str]:
    tenant = _TENANTS[row.index % len(_TENANTS)]
    return {
        wire.INPUT_TOKENS: str(row.input_tokens),
        wire.OUTPUT_TOKENS: str(row.output_tokens),
        wire.CACHED_TOKENS: str(row.cached_tokens),
        wire.TENANT: tenant,
        wire.USER: f"{tenant}-user-{row.index % _USERS:02d}",
    }
