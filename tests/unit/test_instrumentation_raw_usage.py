"""Usage that contradicts itself or is not understood is kept as it was sent; no other is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tollmeter.instrumentation import active, instrument
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode
from tollmeter.pricing.raw_usage import raw_usage

OPENAI, ANTHROPIC = "https://api.openai.com/v1/chat/completions", "https://api.anthropic.com/v1/messages"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.0-flash"
SOUND = {"prompt_tokens": 10, "completion_tokens": 5}
TWISTED = SOUND | {"prompt_tokens_details": {"cached_tokens": 11}}
FOREIGN = {"tokens_consumed": {"in": 10, "out": 5}}


@pytest.fixture
def events() -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    instrument(writer=writer, mode="lean")
    yield writer
    active._default.clear()


def call_of(writer: MemoryWriter, url: str, *documents: dict[str, Any], stream: bool = False) -> LlmCall:
    body = json.dumps(documents[0]).encode()
    if stream:
        body = b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)
    headers = {"content-type": "text/event-stream" if stream else "application/json"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=body))
    with httpx2.Client(transport=transport) as client:
        client.post(url, json={"model": "m", "stream": stream})
    (event,) = (decode(line) for line in writer.lines)
    assert isinstance(event, LlmCall)
    return event


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("usage", "status", "kept"),
    [(TWISTED, "inconsistent", TWISTED), (FOREIGN, "unpriced", FOREIGN), (SOUND, "priced", None)],
)
def test_openai(events: MemoryWriter, usage: Any, status: str, kept: Any, *, stream: bool) -> None:
    call = call_of(events, OPENAI, {"model": "gpt-4o", "choices": [], "usage": usage}, stream=stream)
    assert (call.cost_status, call.raw_usage) == (status, json.dumps(kept, separators=(",", ":")) if kept else "")


def test_anthropic_tells_of_the_newest_event(events: MemoryWriter) -> None:
    start = {"type": "message_start", "message": {"model": "claude-x", "usage": {"input_tokens": "many"}}}
    delta = {"type": "message_delta", "usage": {"output_tokens": "few"}}
    call = call_of(events, ANTHROPIC, start, delta, {"type": "message_stop"}, stream=True)
    assert (call.usage_source, call.raw_usage) == ("missing", '{"output_tokens":"few"}')


@pytest.mark.parametrize("stream", [False, True])
def test_gemini(events: MemoryWriter, *, stream: bool) -> None:
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 1, "cachedContentTokenCount": 9}
    method = ":streamGenerateContent" if stream else ":generateContent"
    call = call_of(events, GEMINI + method, {"candidates": [], "usageMetadata": usage}, stream=stream)
    assert (call.cost_status, json.loads(call.raw_usage)) == ("inconsistent", usage)


def test_it_is_cut_and_never_raises() -> None:
    assert len(raw_usage(json.dumps({"usage": {"é" * 5000: 1}}).encode())) == 4096
    deep: Any = {"usage": {"a": 1}}
    for _ in range(400):
        deep = {"response": deep}
    assert raw_usage(json.dumps(deep).encode()) == ""
    assert raw_usage(b'{"usage"') == ""
