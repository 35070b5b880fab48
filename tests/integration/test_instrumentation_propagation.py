"""The trace over real sockets: out of every client, and through two services into one trace."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import httpx
import httpx2
import pytest
import requests
from botocore.config import Config
from serving import served, spooled, stop
from tap_server import tap_server

from tollmeter.instrumentation import active, annotate, instrument, step
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, Request, decode
from tollmeter.model.home import Home

ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": []}
ROOT = "1-67891233-abcdef012345678912345678"


def by_httpx(url: str) -> None:
    with httpx.Client(trust_env=False) as client:
        client.post(url, json=ASKED, headers=[("baggage", "own=1"), ("baggage", "more=2")])


def by_httpx2(url: str) -> None:
    async def talk() -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            await client.post(url, json=ASKED, headers=[("baggage", "own=1"), ("baggage", "more=2")])

    asyncio.run(talk())


def by_requests(url: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.post(url, json=ASKED, headers={"baggage": b"own=1, more=2"})


def by_aiohttp(url: str) -> None:
    async def talk() -> None:
        async with aiohttp.ClientSession(headers=[("baggage", "own=1"), ("baggage", "more=2")]) as session:
            await (await session.post(url, json=ASKED)).read()

    asyncio.run(talk())


def by_boto3(url: str) -> None:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url.removesuffix("/v1/chat/completions"),
        aws_access_key_id="AKIATEST",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.converse(modelId="us.amazon.nova-lite-v1:0", messages=[{"role": "user", "content": [{"text": "hi"}]}])
    client.close()


@pytest.fixture
def server() -> Iterator[Any]:
    with tap_server() as running:
        yield running
    active._default.clear()


def request_around(talk: Callable[[], None], **settings: Any) -> list[Any]:
    """The events of a request that makes a call."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        annotate(tenant_id="acme ltd")
        with step("ask"):
            await asyncio.to_thread(talk)
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def nothing(_message: Any = None) -> None:
        return

    writer = MemoryWriter()
    wrapped = instrument(app, writer=writer, mode="lean", propagate="tracecontext,xray,datadog", **settings)
    headers = [(b"x-amzn-trace-id", f"Root={ROOT}".encode())]
    asyncio.run(wrapped({"type": "http", "method": "GET", "path": "/", "headers": headers}, nothing, nothing))
    return [decode(line) for line in writer.lines]


CLIENTS = {"httpx": by_httpx, "httpx2": by_httpx2, "requests": by_requests, "aiohttp": by_aiohttp, "boto3": by_boto3}


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_tells_the_hosts_that_are_allowed(server: Any, name: str) -> None:
    provider = "aws.bedrock" if name == "boto3" else "openai"
    call, request = request_around(
        lambda: CLIENTS[name](server.url),
        providers={server.address: provider},
        propagate_hosts="127.0.0.1",
        propagate_baggage={"tenant_id": "tenant"},
    )
    assert isinstance(call, LlmCall)
    [sent] = server.seen
    assert request.trace_id == "67891233abcdef012345678912345678" == call.trace_id
    assert sent["traceparent"] == f"00-{call.trace_id}-{call.span_id}-01"
    assert sent["x-amzn-trace-id"] == f"Root={ROOT};Parent={call.span_id};Sampled=1"
    assert sent["x-datadog-parent-id"] == str(int(call.span_id, 16))
    baggage = [part.strip() for part in sent["baggage"].split(",")]
    own = [] if name == "boto3" else ["own=1", "more=2"]
    assert baggage == [*own, "tenant=acme%20ltd"]


@pytest.mark.parametrize("name", CLIENTS)
def test_no_other_host_is_told_anything(server: Any, name: str) -> None:
    provider = "aws.bedrock" if name == "boto3" else "openai"
    request_around(
        lambda: CLIENTS[name](server.url),
        providers={server.address: provider},
        propagate_hosts="llm.test",
        propagate_baggage={"tenant_id": "tenant"},
    )
    [sent] = server.seen
    assert not {"traceparent", "tracestate", "x-datadog-trace-id", "x-amzn-trace-id"} & sent.keys()
    assert "tenant" not in sent.get("baggage", "")


def test_a_call_outside_of_any_request_begins_the_trace_it_tells(server: Any) -> None:
    writer = MemoryWriter()
    active._default.clear()
    instrument(writer=writer, mode="lean", providers={server.address: "openai"}, propagate_hosts="*")
    by_httpx(server.url)
    (call,) = (decode(line) for line in writer.lines)
    assert isinstance(call, LlmCall)
    assert server.seen[0]["traceparent"] == f"00-{call.trace_id}-{call.span_id}-01"


GATEWAY = """
from fastapi import FastAPI
from tollmeter.instrumentation import instrument

app = FastAPI(title="gateway")
instrument(app)

@app.post("/v1/chat/completions")
def chat():
    return {"model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
"""


@pytest.mark.parametrize("style", ["tracecontext", "xray", "datadog"])
def test_two_services_are_one_trace(tmp_path: Path, home: Home, style: str) -> None:
    env = {"TOLLMETER_PROPAGATION": style, "TOLLMETER_BAGGAGE": "tenant_id=tenant", "TOLLMETER_MODE": "lean"}
    with served(tmp_path, home, code=GATEWAY, env=env) as (process, url):
        writer = MemoryWriter()
        active._default.clear()

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            annotate(tenant_id="acme")
            async with httpx2.AsyncClient(trust_env=False) as client:
                await client.post(f"{url}/v1/chat/completions", json=ASKED)
            await send({"type": "http.response.start", "status": 204, "headers": []})

        async def nothing(_message: Any = None) -> None:
            return

        hosts = {"propagate": style, "propagate_hosts": "127.0.0.1", "propagate_baggage": {"tenant_id": "tenant"}}
        wrapped = instrument(app, writer=writer, mode="lean", **hosts)
        asyncio.run(wrapped({"type": "http", "method": "GET", "path": "/", "headers": []}, nothing, nothing))
        stop(process)
    call, request = (decode(line) for line in writer.lines)
    assert isinstance(call, LlmCall)
    assert isinstance(request, Request)
    [there] = [event for event in spooled(home) if isinstance(event, Request) and event.method == "POST"]
    assert there.trace_id == call.trace_id == request.trace_id
    assert (there.parent_span_id, call.parent_span_id) == (call.span_id, request.span_id)
    assert there.tenant_id == "acme"


OTEL = """
import asyncio, json
import httpx2
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from tollmeter.instrumentation import annotate, instrument
from tollmeter.instrumentation.writer import MemoryWriter

trace.set_tracer_provider(TracerProvider())
app, writer, seen = FastAPI(title="svc", telemetry={"operation_spans": False}), MemoryWriter(), []
instrument(app, writer=writer, mode="otel", providers={"llm.test": "openai"}, propagate_hosts="llm.test",
           propagate_baggage={"tenant_id": "tenant"})

def answer(request):
    seen.append(dict(request.headers))
    return httpx2.Response(200, json={"model": "gpt-4o", "choices": []})

llm = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))

@app.get("/chat")
async def chat():
    annotate(tenant_id="acme")
    await llm.post("http://llm.test/v1/chat/completions", json={"model": "gpt-4o"})

async def main():
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://t") as client:
        await client.get("/chat", headers={"x-amzn-trace-id": "Root=1-67891233-abcdef012345678912345678"})

asyncio.run(main())
print(json.dumps({"events": [json.loads(line) for line in writer.lines], "sent": seen[0]}))
"""


def test_in_otel_mode_the_sdks_propagators_speak_and_a_load_balancers_trace_goes_on() -> None:
    env = {"OTEL_PROPAGATORS": "tracecontext,baggage,tollmeter_xray"}
    command = [sys.executable, "-c", OTEL]
    out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=env)
    document = json.loads(out.stdout)
    call, request = document["events"]
    assert request["trace_id"] == call["trace_id"] == "67891233abcdef012345678912345678"
    assert "parent_span_id" not in request
    assert document["sent"]["traceparent"] == f"00-{request['trace_id']}-{request['span_id']}-01"
    assert document["sent"]["x-amzn-trace-id"] == f"Root={ROOT};Parent={request['span_id']};Sampled=1"
    assert document["sent"]["baggage"] == "tenant=acme"
