"""google-genai: content and embeddings at the Gemini API and at Vertex, on httpx2 and on aiohttp."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials
from recorded import Row
from sdks.drivers.driving import Case, plain
from sdks.drivers.replay import Provider
from sdks.drivers.retries import refused

_MODEL: Final = re.compile(r"/models/([^/:]+):")
_OUTSIDE: Final = ("systemInstruction", "tools", "toolConfig", "safetySettings", "cachedContent")


class Driver:
    """A client for each service and for each HTTP library below it."""

    def __init__(self, servers: dict[str, Provider], shared: Path) -> None:
        self.shared = shared
        self.clients = {name: _client(name, servers[name].url) for name in ("gemini", "vertex_gemini")}
        httpx2_client = {"async_client_args": {"transport": _httpx2_transport()}}
        self.on_httpx2 = {name: _client(name, servers[name].url, **httpx2_client) for name in self.clients}
        retry = {"retry_options": types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002)}
        self.patient = _client("gemini", servers["gemini"].url, **retry)

    def reason(self, row: Row) -> str:
        return "" if row["provider"] in self.clients else f"of {row['provider']}"

    def cases(self, row: Row) -> Iterable[Case]:
        client, other = self.clients[row["provider"]], self.on_httpx2[row["provider"]]
        yield Case("sync", row, lambda: _sync(client.models, row))
        yield Case("async on aiohttp", row, lambda: _async(client.aio.models, row))
        yield Case("async on httpx2", row, lambda: _async(other.aio.models, row))

    def scenes(self, rows: list[Row]) -> Iterable[Case]:
        row = next(row for row in rows if row["provider"] == "gemini" and row["endpoint"] == ":generateContent")
        first = refused(self.shared, "gemini", 429, 503)
        yield Case("sync retried", row, lambda: _sync(self.patient.models, row), first)
        yield Case("async on aiohttp retried", row, lambda: _async(self.patient.aio.models, row), first)


def _httpx2_transport() -> Any:
    import httpx2

    return httpx2.AsyncHTTPTransport()


def _client(name: str, url: str, **options: Any) -> genai.Client:
    http_options = types.HttpOptions(base_url=url, **options)
    if name == "gemini":
        return genai.Client(api_key="test", http_options=http_options)
    place = {"project": "test-project", "location": "us-central1"}
    return genai.Client(vertexai=True, credentials=Credentials("token"), http_options=http_options, **place)


def _call(row: Row) -> tuple[str, dict[str, Any]]:
    body = row["request_body"]
    found = _MODEL.search(row["url"])
    assert found
    if "requests" in body:
        contents = [request["content"] for request in body["requests"]]
        size = body["requests"][0].get("outputDimensionality")
        config: dict[str, Any] = {"output_dimensionality": size} if size else {}
        return "embed_content", {"model": found[1], "contents": contents, "config": config}
    config = dict(body.get("generationConfig") or {}) | {name: body[name] for name in _OUTSIDE if body.get(name)}
    method = "generate_content_stream" if row["stream"] else "generate_content"
    return method, {"model": found[1], "contents": body["contents"], "config": config or None}


def _sync(models: Any, row: Row) -> Any:
    name, arguments = _call(row)
    method: Callable[..., Any] = getattr(models, name)
    return [plain(chunk) for chunk in method(**arguments)] if row["stream"] else plain(method(**arguments))


async def _async(models: Any, row: Row) -> Any:
    name, arguments = _call(row)
    answer = await getattr(models, name)(**arguments)
    return [plain(chunk) async for chunk in answer] if row["stream"] else plain(answer)
