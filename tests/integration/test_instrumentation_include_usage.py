"""Asking for a stream's usage: real clients get what they would have got, the event records what was told."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import aiohttp
import httpx
import httpx2
import openai
import pytest
import requests
from asking_server import AskingServer, asking_server, stream

from tollmeter.instrumentation import active, instrument
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.tap import asking
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode

ASKED: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Which ocean? été"}],
    "stream": True,
}
PLAIN = stream(asked=False)
QUESTION = {"stream_options": {"include_usage": True}}


@pytest.fixture
def server() -> Iterator[AskingServer]:
    with asking_server() as listening:
        yield listening
    asking._refusing.clear()


@pytest.fixture
def events(server: AskingServer) -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    here = {"providers": {server.address: "openai"}, "include_usage_hosts": [server.address]}
    instrument(writer=writer, mode="lean", include_usage=True, **here)
    yield writer
    active._default.clear()


def calls_of(writer: MemoryWriter) -> list[LlmCall]:
    gc.collect()
    return [event for line in writer.lines if isinstance(event := decode(line), LlmCall)]


def _httpx(module: Any) -> Callable[[str], bytes]:
    def read(url: str) -> bytes:
        with module.Client() as client, client.stream("POST", url, json=ASKED) as response:
            assert response.request.headers["accept-encoding"] != "identity"
            return b"".join(response.iter_bytes())

    return read


def _httpx_async(module: Any) -> Callable[[str], bytes]:
    async def read(url: str) -> bytes:
        async with module.AsyncClient() as client, client.stream("POST", url, json=ASKED) as response:
            return b"".join([part async for part in response.aiter_bytes()])

    return lambda url: asyncio.run(read(url))


def _httpx_whole(url: str) -> bytes:
    with httpx2.Client() as client:
        return bytes(client.post(url, json=ASKED).content)


def _requests(url: str) -> bytes:
    with requests.post(url, json=ASKED, stream=True, timeout=10) as response:
        assert "include_usage" not in str(response.request.body)
        return b"".join(response.iter_content(64))


def _requests_whole(url: str) -> bytes:
    return requests.post(url, json=ASKED, timeout=10).content


async def _aiohttp_read(url: str, how: Callable[[Any], Any], **kwargs: Any) -> bytes:
    async with aiohttp.ClientSession() as session, session.post(url, **kwargs) as response:
        return bytes(await how(response))


def _aiohttp(url: str) -> bytes:
    async def lines(response: Any) -> bytes:
        return b"".join([line async for line in response.content])

    return asyncio.run(_aiohttp_read(url, lines, json=ASKED))


def _aiohttp_whole(url: str) -> bytes:
    headers = {"content-type": "application/json"}
    return asyncio.run(_aiohttp_read(url, lambda found: found.read(), data=json.dumps(ASKED).encode(), headers=headers))


CLIENTS = {
    "httpx": _httpx(httpx),
    "httpx2": _httpx(httpx2),
    "httpx async": _httpx_async(httpx),
    "httpx2 async": _httpx_async(httpx2),
    "httpx2 whole": _httpx_whole,
    "requests": _requests,
    "requests whole": _requests_whole,
    "aiohttp": _aiohttp,
    "aiohttp whole": _aiohttp_whole,
}


@pytest.fixture(params=CLIENTS)
def read(request: pytest.FixtureRequest) -> Callable[[str], bytes]:
    return CLIENTS[request.param]


@pytest.mark.parametrize("packs", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_the_caller_gets_what_it_would_have_got(
    server: AskingServer, events: MemoryWriter, read: Callable[[str], bytes], size: int, *, packs: bool
) -> None:
    server.size, server.packs = size, packs
    assert read(f"{server.url}/chat/completions") == PLAIN
    assert json.loads(server.bodies[0]) == ASKED | QUESTION
    assert int(server.headers[0]["content-length"]) == len(server.bodies[0])
    assert (server.headers[0]["accept-encoding"], server.headers[0]["content-type"]) == ("identity", "application/json")
    (call,) = calls_of(events)
    assert (call.usage_source, call.input_tokens, call.output_tokens, call.status) == ("reported", 1000, 50, "ok")
    assert (call.cost_usd, call.cost_status) == (Decimal("0.003"), "priced")


def test_a_refusal_is_sent_again_without_the_question(
    server: AskingServer, events: MemoryWriter, read: Callable[[str], bytes]
) -> None:
    losses.take()
    server.refuses = True
    for _ in range(2):
        assert read(f"{server.url}/chat/completions") == PLAIN
    assert [b"include_usage" in body for body in server.bodies] == [True, False, False]
    assert [(call.status, call.http_status) for call in calls_of(events)] == [("error", 400), ("ok", 200), ("ok", 200)]
    assert [call.losses for call in calls_of(events)].count({"include_usage_refused": 1}) == 1


@pytest.mark.parametrize("fields", [{"stream": False}, {"stream_options": {"include_usage": False}}, QUESTION])
def test_who_decided_is_not_asked_for(server: AskingServer, events: MemoryWriter, fields: dict[str, Any]) -> None:
    body = json.dumps(ASKED | fields).encode()
    with httpx2.Client() as client:
        answer = client.post(f"{server.url}/chat/completions", content=body).content
    assert server.bodies == [body]
    assert answer == stream(asked=b"include_usage" in body)
    assert len(calls_of(events)) == 1


@pytest.mark.parametrize("name", ["Content-MD5", "Digest", "Signature", "Content-Encoding"])
def test_a_signed_body_goes_as_it_is(server: AskingServer, events: MemoryWriter, name: str) -> None:
    with httpx2.Client() as client:
        client.post(f"{server.url}/chat/completions", json=ASKED, headers={name: "x"})
    assert b"include_usage" not in server.bodies[0]
    assert calls_of(events)[0].usage_source == "estimated"


def _chunks(server: AskingServer) -> list[Any]:
    asked = copy.deepcopy(ASKED)
    with openai.OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
        found = list(client.chat.completions.create(**asked))
    assert asked == ASKED
    return found


def test_the_openai_sdk(server: AskingServer, events: MemoryWriter) -> None:
    with_question = _chunks(server)
    asking._refusing.add(server.address)
    assert [part.to_dict() for part in _chunks(server)] == [part.to_dict() for part in with_question]
    assert [b"include_usage" in body for body in server.bodies] == [True, False]
    assert [call.usage_source for call in calls_of(events)] == ["reported", "estimated"]


def test_the_openai_sdk_async(server: AskingServer, events: MemoryWriter) -> None:
    async def run() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            found = await client.chat.completions.create(**ASKED)
            return [part async for part in found]

    with_question = asyncio.run(run())
    asking._refusing.add(server.address)
    assert [part.to_dict() for part in asyncio.run(run())] == [part.to_dict() for part in with_question]
    assert [call.usage_source for call in calls_of(events)] == ["reported", "estimated"]


def test_a_stream_left_early_is_partial(server: AskingServer, events: MemoryWriter) -> None:
    server.size = 400
    with (
        openai.OpenAI(base_url=server.url, api_key="k", max_retries=0) as client,
        client.chat.completions.create(**ASKED) as found,
    ):
        next(iter(found))
    (call,) = calls_of(events)
    assert call.status in ("partial", "ok")  # ok where all had come before it was left
    assert call.stream


def test_it_is_off_by_default(server: AskingServer) -> None:
    writer = MemoryWriter()
    active._default.clear()
    instrument(writer=writer, mode="lean", providers={server.address: "openai"}, include_usage_hosts=[server.address])
    assert _httpx(httpx2)(f"{server.url}/chat/completions") == PLAIN
    assert b"include_usage" not in server.bodies[0]
    active._default.clear()
