"""Each tapped HTTP client alone: the chunks it hands on are the same under the tap.

The provider sends a chunk only once the last was taken, so that how bytes arrive is the same in both passes.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx
import httpx2
import requests
from botocore.awsrequest import AWSPreparedRequest
from botocore.httpsession import URLLib3Session
from recorded import Row, body_of
from sdks.drivers.driving import Case
from sdks.drivers.replay import Provider

_ONE_READ: Final = 32_768
"""A longer chunk may reach a client in more than one read, cut where the kernel likes."""


class Driver:
    """A streamed POST by every client, raw where the body is compressed."""

    def __init__(self, servers: dict[str, Provider], shared: Path) -> None:
        self.servers = servers
        for server in servers.values():
            server.in_step = True
        self.families: dict[str, tuple[Any, Any]] = {
            "httpx": (httpx.Client(), httpx.AsyncClient()),
            "httpx2": (httpx2.Client(), httpx2.AsyncClient()),
        }
        self.requests = requests.Session()
        self.botocore = URLLib3Session()

    def reason(self, row: Row) -> str:
        if not row["stream"] or row["status"] != 200 or row["endpoint"].startswith("/threads"):
            return "not a stream of a model call"
        return "" if len(body_of(row)) < _ONE_READ else f"of {_ONE_READ} bytes or more"

    def cases(self, row: Row) -> Iterable[Case]:
        server, body = self.servers[row["provider"]], json.dumps(row["request_body"]).encode()
        url = f"{server.url}/{row['url'].partition('://')[2].partition('/')[2]}"
        for name, (sync, unsync) in self.families.items():
            yield Case(f"{name} iter_raw", row, partial(_httpx, sync, "iter_raw", url, body, server))
            yield Case(f"{name} iter_bytes", _plain(row), partial(_httpx, sync, "iter_bytes", url, body, server))
            yield Case(f"{name} aiter_raw", row, partial(_async_httpx, unsync, url, body, server))
        yield Case("aiohttp iter_any", _plain(row), lambda: _aiohttp(url, body, server))
        yield Case("requests iter_content", _plain(row), lambda: self._requests(url, body, server))
        if row["provider"] == "bedrock":
            yield Case("botocore stream", row, lambda: self._botocore(url, body, server))

    def scenes(self, rows: list[Row]) -> Iterable[Case]:
        return ()

    def _requests(self, url: str, body: bytes, server: Provider) -> Any:
        with self.requests.post(url, data=body, stream=True) as answer:
            return _taken(answer.iter_content(None), server)

    def _botocore(self, url: str, body: bytes, server: Provider) -> Any:
        answer = self.botocore.send(AWSPreparedRequest("POST", url, {}, body, stream_output=True))
        return _taken(answer.raw.stream(), server)


def _plain(row: Row) -> Row:
    """The row uncompressed: not every compressed chunk decodes to bytes that a client could hand on."""
    headers = {name: value for name, value in row["response_headers"].items() if name.lower() != "content-encoding"}
    return row | {"response_headers": headers}


def _taken(chunks: Iterable[bytes], server: Provider) -> list[str]:
    found = []
    for chunk in chunks:
        found.append(chunk.hex())
        server.taken.release()
    return found


async def _async_taken(chunks: AsyncIterable[bytes], server: Provider) -> list[str]:
    found = []
    async for chunk in chunks:
        found.append(chunk.hex())
        server.taken.release()
    return found


def _httpx(client: Any, way: str, url: str, body: bytes, server: Provider) -> Any:
    with client.stream("POST", url, content=body) as answer:
        return _taken(getattr(answer, way)(), server)


async def _async_httpx(client: Any, url: str, body: bytes, server: Provider) -> Any:
    async with client.stream("POST", url, content=body) as answer:
        return await _async_taken(answer.aiter_raw(), server)


async def _aiohttp(url: str, body: bytes, server: Provider) -> Any:
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
        return await _async_taken(answer.content.iter_any(), server)
