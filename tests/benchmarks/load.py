"""A load generator that costs little: keep-alive connections over raw sockets, responses read to their end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request."""

    name: str
    method: str
    path: str
    body: bytes = b""

    def message(self, netloc: str) -> bytes:
        """The request on the wire."""
        head = f"{self.method} {self.path} HTTP/1.1\r\nhost: {netloc}\r\ncontent-type: application/json\r\n"
        return f"{head}content-length: {len(self.body)}\r\n\r\n".encode() + self.body


_CHAT = b'{"messages": [{"role": "user", "content": "How is usage counted?"}], "model": "gpt-4o-mini"}'
PING = Workload("ping", "GET", "/ping")
PLAIN = Workload("plain call", "POST", "/chat", _CHAT)
STREAM = Workload("streamed call", "POST", "/chat/stream", _CHAT)
WORKLOADS = (PING, PLAIN, STREAM)


def send_requests(url: str, workload: Workload, count: int) -> None:
    """Send `count` requests over a few connections, each waiting for its answer.

    Raises:
        RuntimeError: an answer was not 200.
    """
    asyncio.run(_all(urlsplit(url).netloc, workload, count))


def saturate(url: str, workload: Workload, seconds: float) -> list[float]:
    """Ask over a few connections without a pause; seconds that each answer took.

    Raises:
        RuntimeError: an answer was not 200.
    """
    return asyncio.run(_until(urlsplit(url).netloc, workload, seconds))


async def _until(netloc: str, workload: Workload, seconds: float) -> list[float]:
    end = time.perf_counter() + seconds
    message = workload.message(netloc)
    found = await asyncio.gather(*(_asking(netloc, message, end) for _ in range(CONNECTIONS)))
    return [took for each in found for took in each]


async def _asking(netloc: str, message: bytes, end: float) -> list[float]:
    host, _, port = netloc.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    took: list[float] = []
    try:
        while (began := time.perf_counter()) < end:
            writer.write(message)
            await _answer(reader)
            took.append(time.perf_counter() - began)
    finally:
        writer.close()
        await writer.wait_closed()
    return took


async def _all(netloc: str, workload: Workload, count: int) -> None:
    shares = [count // CONNECTIONS + (index < count % CONNECTIONS) for index in range(CONNECTIONS)]
    await asyncio.gather(*(_connection(netloc, workload.message(netloc), share) for share in shares if share))


async def _connection(netloc: str, message: bytes, count: int) -> None:
    host, _, port = netloc.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for _ in range(count):
            writer.write(message)
            await _answer(reader)
    finally:
        writer.close()
        await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(head.partition(b"\r\n")[0].decode())
    if b"transfer-encoding: chunked" in head:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
