"""litellm: one door to every provider of the recordings, sync on httpx, async on aiohttp and on httpx.

A row of a provider that does not speak OpenAI's protocol is asked for with the text of its recorded request as one
message; what answers is the provider's own recorded body, which litellm translates.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks GitHub at import

import litellm
from recorded import Row
from sdks.drivers.driving import Case, plain
from sdks.drivers.replay import Provider
from sdks.drivers.retries import refused

_IN_URL: Final = re.compile(r"/(?:(?:deployments|model)/([^/]+)/|models/([^/:]+):)")
_METHODS: Final = {
    "/chat/completions": "completion",
    "/completions": "text_completion",
    "/embeddings": "embedding",
    "/responses": "responses",
}
_PREFIXES: Final = {
    "/completions": "text-completion-openai/",
    "converse": "bedrock/converse/",
    "converse-stream": "bedrock/converse/",
    "invoke": "bedrock/invoke/",
    "invoke-with-response-stream": "bedrock/invoke/",
}
_OWN_NAMES: Final = ("id", "created", "created_at", "item_id", "call_id", "tool_call_id")
_EVERY: Final = 8


class Driver:
    """Functions of the module, as litellm's users call them."""

    def __init__(self, servers: dict[str, Provider], shared: Path) -> None:
        self.shared = shared
        self.urls = {name: server.url for name, server in servers.items()}
        litellm.suppress_debug_info = True
        litellm.drop_params = True

    def reason(self, row: Row) -> str:
        if row["endpoint"].startswith("/threads"):
            return "threads"
        if row["endpoint"] in ("/images/generations", "/complete", ":batchEmbedContents"):
            return str(row["endpoint"])
        return ""

    def cases(self, row: Row) -> Iterable[Case]:
        name, arguments = self._call(row)
        yield Case("sync", row, lambda: _sync(name, arguments))
        yield Case("async on aiohttp", row, lambda: _async(name, arguments))

    def scenes(self, rows: list[Row]) -> Iterable[Case]:
        taken = [row for row in rows if not self.reason(row)]
        yield from self._on_httpx(taken[::_EVERY])
        row = next(row for row in taken if row["endpoint"] == "/chat/completions" and row["usage"])
        name, arguments = self._call(row)
        first = refused(self.shared, "openai", 429, 500)
        retried = arguments | {"num_retries": 2}
        yield Case("sync retried", row, lambda: _sync(name, retried), first)
        yield Case("async on aiohttp retried", row, lambda: _async(name, retried), first)

    def _on_httpx(self, rows: list[Row]) -> Iterable[Case]:
        litellm.in_memory_llm_clients_cache.flush_cache()
        litellm.disable_aiohttp_transport = True
        for row in rows:
            name, arguments = self._call(row)
            yield Case("async on httpx", row, partial(_async, name, arguments))
        litellm.disable_aiohttp_transport = False
        litellm.in_memory_llm_clients_cache.flush_cache()

    def _call(self, row: Row) -> tuple[str, dict[str, Any]]:
        name = _METHODS.get(row["endpoint"], "completion")
        body = _openai_body(row) | {"stream": row["stream"]} if name != "embedding" else dict(row["request_body"])
        return name, body | {"model": _model(row), "max_retries": 0} | self._place(row)

    def _place(self, row: Row) -> dict[str, Any]:
        url = self.urls[row["provider"]]
        credentials = {
            "aws_access_key_id": "AKIATEST",
            "aws_secret_access_key": "secret",
            "aws_region_name": "us-east-1",
        }
        return {
            "openai": {"api_base": url + "/v1", "api_key": "sk-test"},
            "azure_openai": {"api_base": url, "api_key": "sk-test", "api_version": "2024-02-01"},
            "anthropic": {"api_base": url, "api_key": "sk-test"},
            "bedrock": credentials | {"aws_bedrock_runtime_endpoint": url},
            "gemini": {"api_base": f"{url}/v1beta/models/{_named(row)}", "api_key": "test"},
            "vertex_gemini": {
                "api_base": f"{url}/v1/projects/p/locations/us-central1/publishers/google/models/{_named(row)}",
                "api_key": "test",
            },
        }[row["provider"]]


def _named(row: Row) -> str:
    found = _IN_URL.search(row["url"])
    return unquote(found[1] or found[2]) if found else str(row["request_body"]["model"])


def _model(row: Row) -> str:
    own = {"openai": "openai/", "azure_openai": "azure/", "anthropic": "anthropic/"} | dict.fromkeys(
        ("gemini", "vertex_gemini"), "gemini/"
    )
    return _PREFIXES.get(row["endpoint"], own.get(row["provider"], "")) + _named(row)


def _openai_body(row: Row) -> dict[str, Any]:
    body: dict[str, Any] = row["request_body"] or {}
    if row["provider"] in ("openai", "azure_openai"):
        return dict(body)
    return {"messages": [{"role": "user", "content": " ".join(_texts(body)) or "hi"}]}


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from [item] if name in ("text", "content", "prompt") and isinstance(item, str) else _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _same(value: Any) -> Any:
    """Without the names and clock readings that litellm makes up itself, anew each time."""
    if isinstance(value, dict):
        return {name: _same(item) for name, item in value.items() if name not in _OWN_NAMES}
    return [_same(item) for item in value] if isinstance(value, list) else value


def _sync(name: str, arguments: dict[str, Any]) -> Any:
    answer = getattr(litellm, name)(**arguments)
    return _same([plain(chunk) for chunk in answer] if arguments.get("stream") else plain(answer))


async def _async(name: str, arguments: dict[str, Any]) -> Any:
    answer = await getattr(litellm, "a" + name)(**arguments)
    return _same([plain(chunk) async for chunk in answer] if arguments.get("stream") else plain(answer))
