"""anthropic: messages, their stream helper, and both again under `beta`."""

# pyright: reportMissingImports=false
from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from anthropic import Anthropic, AsyncAnthropic
from recorded import Row
from sdks.drivers.driving import Case, arguments_for, plain
from sdks.drivers.replay import Provider
from sdks.drivers.retries import refused


class Driver:
    """Sync and async clients, plain and streamed."""

    def __init__(self, servers: dict[str, Provider], shared: Path) -> None:
        self.shared = shared
        self.sync = Anthropic(api_key="sk-test", base_url=servers["anthropic"].url)
        self.unsync = AsyncAnthropic(api_key="sk-test", base_url=servers["anthropic"].url)

    def reason(self, row: Row) -> str:
        if row["provider"] != "anthropic":
            return f"of {row['provider']}"
        return "" if row["endpoint"] == "/messages" else "text completions: the method is gone"

    def cases(self, row: Row) -> Iterable[Case]:
        body = row["request_body"]
        yield Case("sync", row, lambda: _sync(self.sync.messages.create, body))
        yield Case("async", row, lambda: _async(self.unsync.messages.create, body))
        yield Case("beta", row, lambda: _sync(self.sync.beta.messages.create, body))
        if row["stream"]:
            yield Case("stream helper", row, lambda: _helper(self.sync.messages.stream, body))
            yield Case("async stream helper", row, lambda: _async_helper(self.unsync.messages.stream, body))
            yield Case("beta stream helper", row, lambda: _helper(self.sync.beta.messages.stream, body))

    def scenes(self, rows: list[Row]) -> Iterable[Case]:
        for streamed in (False, True):
            row = next(r for r in rows if r["provider"] == "anthropic" and r["stream"] is streamed and r["usage"])
            first = refused(self.shared, "anthropic", 429, 529)
            body = row["request_body"]
            yield Case("sync retried", row, partial(_sync, self.sync.messages.create, body), first)
            yield Case("async retried", row, partial(_async, self.unsync.messages.create, body), first)


def _sync(method: Callable[..., Any], body: dict[str, Any]) -> Any:
    answer = method(**arguments_for(method, body))
    return [plain(event) for event in answer] if body.get("stream") else plain(answer)


async def _async(method: Callable[..., Any], body: dict[str, Any]) -> Any:
    answer = await method(**arguments_for(method, body))
    return [plain(event) async for event in answer] if body.get("stream") else plain(answer)


def _unstreamed(method: Callable[..., Any], body: dict[str, Any]) -> dict[str, Any]:
    return arguments_for(method, {name: value for name, value in body.items() if name != "stream"})


def _helper(method: Callable[..., Any], body: dict[str, Any]) -> Any:
    with method(**_unstreamed(method, body)) as stream:
        return [*(plain(event) for event in stream), plain(stream.get_final_message())]


async def _async_helper(method: Callable[..., Any], body: dict[str, Any]) -> Any:
    async with method(**_unstreamed(method, body)) as stream:
        return [*[plain(event) async for event in stream], plain(await stream.get_final_message())]
