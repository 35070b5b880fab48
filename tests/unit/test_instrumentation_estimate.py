"""Streams that tell no usage: estimated from their text, marked, and the same however they are cut."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from tollmeter.instrumentation import active, instrument
from tollmeter.instrumentation.tap.text_meter import TextMeter
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode
from tollmeter.pricing.estimate import count_pieces, estimate_prompt

SEED = 20261124
OPENAI, ANTHROPIC = "https://api.openai.com/v1/chat/completions", "https://api.anthropic.com/v1/messages"
RESPONSES = "https://api.openai.com/v1/responses"
REQUEST = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Which ocean?"}]}
PIC = [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}, {"type": "text", "text": "What?"}]


def delta(**fields: Any) -> dict[str, Any]:
    return {"id": "c", "model": "gpt-4o", "choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def sse(*documents: dict[str, Any], done: bool = True) -> bytes:
    lines = [b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n" for document in documents]
    return b"".join((*lines, b"data: [DONE]\n\n" if done else b""))


CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
ARGUMENTS = [{"index": 0, "function": {"arguments": piece}} for piece in ('{"', "city", '":"', "Rome", '"}')]
WORDS = sse(
    delta(role="assistant", content=""), *(delta(content=word) for word in ("South", " Atlantic", " Ocean", "."))
)
TOOL = sse(delta(role="assistant", content=None, tool_calls=[CALL]), *(delta(tool_calls=[part]) for part in ARGUMENTS))
THOUGHT = sse(delta(reasoning_content="Let me"), delta(reasoning_content=" see"), delta(content="Rome"))
ESCAPED = sse(delta(content='say "hi"\n'), delta(content="été 東京 😀"), delta(content=" "))


@pytest.fixture
def events() -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    instrument(writer=writer, mode="lean")
    yield writer
    active._default.clear()


def call_of(
    writer: MemoryWriter, body: bytes, url: str = OPENAI, request: Any = REQUEST, *, kind: str = "text/event-stream",
    leave: bool = False, status: int = 200,
) -> LlmCall:  # fmt: skip
    headers = {"content-type": kind}
    pieces = iter([body])
    transport = httpx2.MockTransport(lambda _: httpx2.Response(status, headers=headers, content=pieces))
    with httpx2.Client(transport=transport) as client, client.stream("POST", url, json=request) as response:
        if leave:
            next(response.iter_raw(1))
        else:
            response.read()
    (event,) = (decode(line) for line in writer.lines)
    assert isinstance(event, LlmCall)
    return event


def meter(body: bytes, sizes: Iterator[int]) -> int:
    found, lines = TextMeter(), body.splitlines(keepends=True)
    while lines:
        size = next(sizes)
        found.feed(b"".join(lines[:size]))
        lines = lines[size:]
    return found.tokens


@pytest.mark.parametrize(
    ("body", "tokens"), [(WORDS, 4), (TOOL, 3 + 7 + 5), (THOUGHT, 4), (ESCAPED, 5 + 7 + 1)],
    ids=["words", "tool", "thought", "escaped"],
)  # fmt: skip
def test_what_a_stream_counts_is_the_same_however_it_is_cut(body: bytes, tokens: int) -> None:
    dice = random.Random(SEED)
    assert meter(body, iter([10_000])) == tokens
    for _ in range(200):
        assert meter(body, iter(lambda: dice.randrange(1, 9), 0)) == tokens


def test_a_stream_without_usage(events: MemoryWriter) -> None:
    call = call_of(events, WORDS)
    assert (call.usage_source, call.usage_method, call.cost_status) == ("estimated", "pieces", "estimated")
    assert (call.input_tokens, call.output_tokens) == (3 + 3 + 4, 4)
    assert call.cost_usd == Decimal("0.000065")  # 10 at 2.50 and 4 at 10 per million


def test_what_is_not_seen_is_named(events: MemoryWriter) -> None:
    asked = REQUEST | {"model": "o3", "messages": [{"role": "user", "content": PIC}]}
    assert call_of(events, WORDS, request=asked).usage_method == "pieces+media_unseen+reasoning_unseen"
    hosted = estimate_prompt(b'{"input": "x", "previous_response_id": "r", "tools": [{"type": "web_search"}]}')
    assert hosted is not None
    assert hosted.unseen == ("history", "hosted_tools")


@pytest.mark.parametrize(
    ("body", "request_body", "status"),
    [
        (sse(delta(role="assistant", content="")), REQUEST, 200),  # nothing was said
        (WORDS, {"model": "gpt-4o"}, 200),  # nothing was asked that we understand
        (WORDS, REQUEST, 500),
    ],
)
def test_what_cannot_be_estimated_is_missing(events: MemoryWriter, body: bytes, request_body: Any, status: int) -> None:
    call = call_of(events, body, request=request_body, status=status)
    assert (call.usage_source, call.usage_method, call.input_tokens, call.output_tokens) == ("missing", "", None, None)
    assert (call.cost_usd, call.cost_status) == (None, "unpriced")


def test_told_usage_wins(events: MemoryWriter) -> None:
    told = {"model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 3}}
    call = call_of(events, WORDS.removesuffix(b"data: [DONE]\n\n") + sse(told))
    assert (call.usage_source, call.usage_method, call.input_tokens, call.output_tokens) == ("reported", "", 8, 3)


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLMETER_ESTIMATE_USAGE", "false")
    writer = MemoryWriter()
    active._default.clear()
    instrument(writer=writer, mode="lean")
    assert call_of(writer, WORDS).usage_source == "missing"
    active._default.clear()


def test_a_plain_answer_without_usage(events: MemoryWriter) -> None:
    message = {"role": "assistant", "content": "South Atlantic Ocean."}
    body = json.dumps({"model": "gpt-4o", "choices": [{"message": message}]}).encode()
    call = call_of(events, body, kind="application/json")
    assert (call.usage_source, call.input_tokens, call.output_tokens) == ("estimated", 10, 4)


def test_an_abandoned_responses_stream_counts_its_deltas_alone(events: MemoryWriter) -> None:
    said = [{"type": "response.output_text.delta", "delta": word} for word in ("South", " Atlantic")]
    done = {"type": "response.output_text.done", "text": "South Atlantic"}
    start = {"type": "response.created", "response": {"model": "gpt-4o", "usage": None}}
    request = {"model": "gpt-4o", "stream": True, "input": "Which ocean?"}
    call = call_of(events, sse(start, *said, done, done=False), RESPONSES, request, leave=True)
    assert (call.status, call.usage_source, call.cost_status) == ("partial", "estimated", "estimated")
    assert (call.input_tokens, call.output_tokens) == (10, 2)


def test_an_abandoned_anthropic_stream_keeps_its_input(events: MemoryWriter) -> None:
    usage = {"input_tokens": 25, "output_tokens": 1}
    start = {"type": "message_start", "message": {"model": "claude-sonnet-4-5", "usage": usage}}
    text = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "South Atlantic Ocean."}}
    call = call_of(events, sse(start, text, done=False), ANTHROPIC, leave=True)
    assert (call.status, call.usage_source, call.usage_method) == ("partial", "estimated", "pieces:output")
    assert (call.input_tokens, call.output_tokens) == (25, 4)


def test_pieces() -> None:
    assert count_pieces(b"") == 0
    assert count_pieces(b" ") == 1
    assert count_pieces(b"unquestionably 12345") == 2 + 1 + 2
