"""openai: every endpoint of the recordings through its public methods, at OpenAI and at Azure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from recorded import Row
from sdks.drivers.driving import Case, arguments_for, plain
from sdks.drivers.replay import Provider
from sdks.drivers.retries import refused

METHODS: Final = {
    "/chat/completions": "chat.completions.create",
    "/completions": "completions.create",
    "/responses": "responses.create",
    "/embeddings": "embeddings.create",
    "/images/generations": "images.generate",
}
THREADS: Final = (
    (re.compile(r"POST /threads$"), "create"),
    (re.compile(r"POST /threads/(\w+)/messages$"), "messages.create"),
    (re.compile(r"GET /threads/(\w+)/messages$"), "messages.list"),
    (re.compile(r"POST /threads/(\w+)/runs$"), "runs.create"),
    (re.compile(r"GET /threads/(\w+)/runs/(\w+)$"), "runs.retrieve"),
    (re.compile(r"POST /threads/(\w+)/runs/(\w+)/submit_tool_outputs$"), "runs.submit_tool_outputs"),
)
_DEPLOYMENT: Final = re.compile(r"/deployments/([^/]+)/")
_KEY: Final = "sk-test"


def method_of(client: Any, path: str) -> Any:
    """The method that a dotted path names below a client."""
    for name in path.split("."):
        client = getattr(client, name)
    return client


class Driver:
    """Sync and async clients, the stream helpers, raw responses and retries."""

    def __init__(self, servers: dict[str, Provider], shared: Path) -> None:
        self.shared = shared
        base = servers["openai"].url + "/v1"
        self.sync = OpenAI(api_key=_KEY, base_url=base)
        self.unsync = AsyncOpenAI(api_key=_KEY, base_url=base)
        azure: dict[str, Any] = {
            "api_key": _KEY,
            "azure_endpoint": servers["azure_openai"].url,
            "api_version": "2024-02-01",
        }
        self.azure_sync = AzureOpenAI(**azure)
        self.azure_unsync = AsyncAzureOpenAI(**azure)

    def reason(self, row: Row) -> str:
        return "" if row["provider"] in ("openai", "azure_openai") else f"of {row['provider']}"

    def cases(self, row: Row) -> Iterable[Case]:
        sync, unsync, body = self._clients(row)
        path, ids, body = _target(row, body)
        yield Case("sync", row, lambda: _sync(method_of(sync, path), ids, body))
        yield Case("async", row, lambda: _async(method_of(unsync, path), ids, body))
        if row["stream"] and path in ("chat.completions.create", "responses.create"):
            helper = path.removesuffix("create") + "stream"
            yield Case("stream helper", row, lambda: _helper(method_of(sync, helper), body))
        if not row["stream"] and not ids:
            raw = path.removesuffix("create") + "with_raw_response.create"
            if path.endswith("create"):
                yield Case("raw response", row, lambda: _raw(method_of(sync, raw), body))

    def scenes(self, rows: list[Row]) -> Iterable[Case]:
        chats = [row for row in rows if row["endpoint"] == "/chat/completions" and row["status"] == 200]
        for streamed in (False, True):
            row = next(r for r in chats if r["stream"] is streamed and r["usage"] and r["provider"] == "openai")
            first = refused(self.shared, "openai", 429, 500)
            body = row["request_body"]
            yield Case("sync retried", row, partial(_sync, self.sync.chat.completions.create, (), body), first)
            yield Case("async retried", row, partial(_async, self.unsync.chat.completions.create, (), body), first)

    def _clients(self, row: Row) -> tuple[Any, Any, dict[str, Any]]:
        body = dict(row["request_body"] or {})
        if row["provider"] == "openai":
            return self.sync, self.unsync, body
        found = _DEPLOYMENT.search(row["url"])
        body["model"] = found[1] if found else body.get("model")
        return self.azure_sync, self.azure_unsync, body


def _target(row: Row, body: dict[str, Any]) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    if row["endpoint"] in METHODS:
        return METHODS[row["endpoint"]], (), body
    for pattern, path in THREADS:
        found = pattern.match(f"{row['method']} {row['endpoint']}")
        if found:
            ids = found.groups()
            named = {"thread_id": ids[0]} if len(ids) > 1 else {}
            return f"beta.threads.{path}", ids[-1:], body | named
    raise AssertionError(row["endpoint"])


def _sync(method: Callable[..., Any], ids: tuple[str, ...], body: dict[str, Any]) -> Any:
    answer = method(*ids, **arguments_for(method, body))
    return [plain(chunk) for chunk in answer] if body.get("stream") else plain(answer)


async def _async(method: Callable[..., Any], ids: tuple[str, ...], body: dict[str, Any]) -> Any:
    answer = await method(*ids, **arguments_for(method, body))
    return [plain(chunk) async for chunk in answer] if body.get("stream") else plain(answer)


def _helper(method: Callable[..., Any], body: dict[str, Any]) -> Any:
    body = {name: value for name, value in body.items() if name != "stream"}
    with method(**arguments_for(method, body)) as stream:
        return [plain(event) for event in stream]


def _raw(method: Callable[..., Any], body: dict[str, Any]) -> Any:
    answer = method(**arguments_for(method, body))
    return [answer.status_code, dict(answer.headers), answer.text if isinstance(answer.text, str) else answer.text()]
