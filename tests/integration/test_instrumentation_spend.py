"""A spent limit under real clients: the caller gets `SpendLimitError`, and the provider gets nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import boto3
import httpx2
import openai
import pytest
import requests
from botocore.config import Config
from tap_server import tap_server

from tollmeter.instrumentation import SpendLimitError, active, instrument, llm_call, spend_limit
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode

BODY: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
COST = "0.00225"
Server = Any
Ask = Callable[[Server], object]


@pytest.fixture
def server() -> Iterator[Server]:
    with tap_server() as found:
        yield found


@pytest.fixture(params=["lean", "otel"])
def events(request: pytest.FixtureRequest, server: Server) -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    instrument(writer=writer, mode=request.param, service="svc", providers={server.address: "openai"})
    yield writer
    active._default.clear()


def by_requests(server: Server) -> object:
    return requests.post(server.url, json=BODY, timeout=5).json()


def by_aiohttp(server: Server) -> object:
    async def run() -> object:
        async with aiohttp.ClientSession() as session, session.post(server.url, json=BODY) as response:
            return await response.json()

    return asyncio.run(run())


def by_httpx2(server: Server) -> object:
    async def run() -> object:
        async with httpx2.AsyncClient() as http:
            return (await http.post(server.url, json=BODY)).json()

    return asyncio.run(run())


def by_openai(server: Server) -> object:
    with openai.OpenAI(base_url=f"http://{server.address}/v1", api_key="k", max_retries=5) as client:
        return client.chat.completions.create(**BODY)


def by_openai_async(server: Server) -> object:
    async def run() -> object:
        async with openai.AsyncOpenAI(base_url=f"http://{server.address}/v1", api_key="k", max_retries=5) as client:
            stream = await client.chat.completions.create(
                **BODY, stream=True, extra_headers={"x-case": "cut:64"}, stream_options={"include_usage": True}
            )
            async with stream:
                return [chunk async for chunk in stream]

    return asyncio.run(run())


@pytest.mark.parametrize("ask", [by_requests, by_aiohttp, by_httpx2, by_openai, by_openai_async])
def test_the_call_past_the_limit_is_refused_at_once(server: Server, events: MemoryWriter, ask: Ask) -> None:
    with spend_limit(usd=COST) as limit:
        ask(server)
        assert str(limit.spent_usd) == "0.002250000000"
        started = time.perf_counter()
        for _ in range(3):
            with pytest.raises(SpendLimitError, match="the call to gpt-4o was not sent"):
                ask(server)
        assert time.perf_counter() - started < 2  # an SDK that waits between its tries would take longer
    assert len(server.seen) == 1
    rows = [event for line in events.lines if isinstance(event := decode(line), LlmCall)]
    assert [(row.error_type, str(row.cost_usd)) for row in rows] == [("", "0.002250000000")] + 3 * [
        ("SpendLimitError", "None")
    ]


def test_each_try_of_an_sdk_is_a_call(server: Server, events: MemoryWriter) -> None:
    """The limit is used up between two tries: no third try, no wait, and the error is ours."""
    with (
        openai.OpenAI(base_url=f"http://{server.address}/v1", api_key="k", max_retries=5) as client,
        spend_limit(calls=2),
        pytest.raises(SpendLimitError, match="of 2 calls is used up"),
    ):
        client.chat.completions.create(**BODY, extra_headers={"x-case": "refused:500"})
    rows = [event for line in events.lines if isinstance(event := decode(line), LlmCall)]
    assert [(row.attempt, row.error_type) for row in rows] == [
        (1, "rate_limit_exceeded"), (2, "rate_limit_exceeded"), (3, "SpendLimitError"),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["standard", "legacy", "adaptive"])
def test_botocore_lets_the_error_through(mode: Any) -> None:
    """No server listens: what is sent would be an EndpointConnectionError."""
    writer = MemoryWriter()
    active._default.clear()
    instrument(writer=writer, mode="lean", providers={"127.0.0.1:9": "aws.bedrock"})
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="AKIATEST",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 4, "mode": mode}),
    )
    model = "us.amazon.nova-lite-v1:0"
    with spend_limit(usd="0.0001"):
        with llm_call(provider="aws.bedrock", model=model) as call:
            call.record({"usage": {"inputTokens": 10_000, "outputTokens": 1000}})
        with pytest.raises(SpendLimitError, match=f"the call to {model} was not sent"):
            client.converse(modelId=model, messages=[{"role": "user", "content": [{"text": "hi"}]}])
    rows = [event for line in writer.lines if isinstance(event := decode(line), LlmCall)]
    assert [row.error_type for row in rows] == ["", "SpendLimitError"]
    active._default.clear()
