"""Prompts and answers: off unless asked for; then whole, redacted, bounded, and never at the cost of the event."""

# ruff: noqa: E501  documents as they are sent
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from tapping import call_of, recording

from tollmeter.exporters.sinks.stdout import log_record
from tollmeter.instrumentation import annotate, evaluate, instrument, llm_call, step
from tollmeter.instrumentation.content.capture import MARGIN
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import Evaluation, LlmCall, Request, decode
from tollmeter.model.ids import new_event_id

OPENAI = "https://api.openai.com/v1/chat/completions"
RESPONSES = "https://api.openai.com/v1/responses"
ANTHROPIC = "https://api.anthropic.com/v1/messages"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.0-flash:streamGenerateContent"
CONVERSE = "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-pro-v1%3A0/converse"
OLLAMA = "http://localhost:11434/api/chat"
COHERE = "https://api.cohere.com/v2/chat"


def text(content: str) -> dict[str, str]:
    return {"type": "text", "content": content}


def call(url: str, asked: Any, *answered: Any, cut: int = 7, **options: Any) -> LlmCall:
    """The event of a call: one answer is sent as JSON, several as events of a stream, cut anywhere."""
    stream = len(answered) > 1
    lines = "".join(f"data: {json.dumps(each)}\n\n" for each in answered)
    body = (lines if stream else "".join(map(json.dumps, answered))).encode()

    class Body(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from (body[at : at + cut] for at in range(0, len(body), cut))

    kind = {"content-type": "text/event-stream" if stream else "application/json"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=kind, stream=Body()))
    with recording(**{"capture_content": "all"} | options) as writer:
        with httpx2.Client(transport=transport) as client:
            client.post(url, json=asked)
        return call_of(writer)


def said(event: LlmCall) -> tuple[Any, Any]:
    return json.loads(event.input_content or "null"), json.loads(event.output_content or "null")


ASKED = {"model": "gpt-4o", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]}
ANSWER = {
    "model": "gpt-4o",
    "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}


def test_content_is_off_unless_it_is_asked_for() -> None:
    event = call(OPENAI, ASKED, ANSWER, capture_content="off")
    assert (event.input_content, event.output_content) == ("", "")


@pytest.mark.parametrize(
    ("what", "asked", "answered"), [("input", True, False), ("output", False, True), ("all", True, True)]
)
def test_what_is_asked_and_what_is_answered_are_chosen_apart(what: str, asked: bool, answered: bool) -> None:
    found = said(call(OPENAI, ASKED, ANSWER, capture_content=what))
    question = [{"role": "system", "parts": [text("Be brief.")]}, {"role": "user", "parts": [text("Hi")]}]
    reply = [{"role": "assistant", "parts": [text("Hello")], "finish_reason": "stop"}]
    assert found == (question if asked else None, reply if answered else None)


TOOL = {"type": "tool_call", "id": "c1", "name": "get", "arguments": {"city": "Rome"}}
WIRES: dict[str, tuple[str, Any, list[Any], list[Any]]] = {
    "openai stream": (
        OPENAI,
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]},
        [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
            {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm"}}]},
            {"choices": [{"index": 0, "delta": {"content": "Hel"}}]},
            {"choices": [{"index": 0, "delta": {"content": "lo"}}]},
            {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "get", "arguments": ""}}]}}]},
            {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}}]},
            {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ' "Rome"}'}}]}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        ],
        [{"type": "reasoning", "content": "Hm"}, text("Hello"), TOOL],
    ),
    "responses": (
        RESPONSES,
        {"instructions": "Be brief.", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}, {"type": "function_call_output", "call_id": "c0", "output": "12"}]},
        [{"status": "completed", "usage": {"input_tokens": 1, "output_tokens": 1}, "output": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}, {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}, {"type": "function_call", "call_id": "c1", "name": "get", "arguments": '{"city": "Rome"}'}]}],
        [{"type": "reasoning", "content": "Hm"}, text("Hello"), TOOL],
    ),
    "responses stream": (
        RESPONSES,
        {"input": "Hi"},
        [
            {"type": "response.reasoning_summary_text.delta", "delta": "Hm"},
            {"type": "response.output_text.delta", "delta": "Hel"},
            {"type": "response.output_text.delta", "delta": "lo"},
            {"type": "response.output_item.added", "item": {"type": "function_call", "id": "i1", "call_id": "c1", "name": "get", "arguments": ""}},
            {"type": "response.function_call_arguments.delta", "item_id": "i1", "delta": '{"city": "Rome"}'},
            {"type": "response.completed", "response": {"status": "completed", "usage": {}, "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}]}},
        ],
        [{"type": "reasoning", "content": "Hm"}, text("Hello"), TOOL],
    ),
    "anthropic": (
        ANTHROPIC,
        {"system": [{"type": "text", "text": "Be brief."}], "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c0", "content": [{"type": "text", "text": "12"}]}, {"type": "text", "text": "Hi"}]}]},
        [{"stop_reason": "tool_use", "content": [{"type": "thinking", "thinking": "Hm", "signature": "x"}, {"type": "text", "text": "Hello"}, {"type": "tool_use", "id": "c1", "name": "get", "input": {"city": "Rome"}}]}],
        [{"type": "reasoning", "content": "Hm"}, text("Hello"), TOOL],
    ),
    "anthropic stream": (
        ANTHROPIC,
        {"messages": [{"role": "user", "content": "Hi"}]},
        [
            {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}},
            {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "c1", "name": "get", "input": {}}},
            {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"city":'}},
            {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ' "Rome"}'}},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}},
        ],
        [{"type": "reasoning", "content": "Hm"}, text("Hello"), TOOL],
    ),
    "gemini stream": (
        GEMINI,
        {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [{"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"data": "AAAA"}}]}]},
        [
            {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hm", "thought": True}]}}]},
            {"candidates": [{"content": {"parts": [{"text": "Hel"}]}}]},
            {"candidates": [{"content": {"parts": [{"text": "lo"}, {"functionCall": {"id": "c1", "name": "get", "args": {"city": "Rome"}}}]}, "finishReason": "STOP"}]},
        ],
        [{"type": "reasoning", "content": "Hm"}, text("Hello"), TOOL],
    ),
    "converse": (
        CONVERSE,
        {"system": [{"text": "Be brief."}], "messages": [{"role": "user", "content": [{"text": "Hi"}, {"toolResult": {"toolUseId": "c0", "content": [{"text": "12"}]}}]}]},
        [{"stopReason": "tool_use", "output": {"message": {"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "Hm"}}}, {"text": "Hello"}, {"toolUse": {"toolUseId": "c1", "name": "get", "input": {"city": "Rome"}}}]}}}],
        [{"type": "reasoning", "content": "Hm"}, text("Hello"), TOOL],
    ),
    "cohere stream": (
        COHERE,
        {"messages": [{"role": "user", "content": "Hi"}]},
        [
            {"type": "message-start", "delta": {"message": {"role": "assistant", "content": []}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hel"}}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "lo"}}}},
            {"type": "tool-call-start", "index": 1, "delta": {"message": {"tool_calls": {"id": "c1", "function": {"name": "get", "arguments": ""}}}}},
            {"type": "tool-call-delta", "index": 1, "delta": {"message": {"tool_calls": {"function": {"arguments": '{"city": "Rome"}'}}}}},
            {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
        ],
        [text("Hello"), TOOL],
    ),
    "ollama": (OLLAMA, {"messages": [{"role": "user", "content": "Hi"}]}, [{"done": True, "done_reason": "stop", "message": {"role": "assistant", "thinking": "Hm", "content": "Hello"}}], [text("Hello"), {"type": "reasoning", "content": "Hm"}]),
}  # fmt: skip


@pytest.mark.parametrize("name", WIRES)
def test_every_wire_says_the_same(name: str) -> None:
    url, asked, answered, parts = WIRES[name]
    question, (reply,) = said(call(url, asked, *answered))
    assert reply["parts"] == parts
    assert reply["finish_reason"] or name.startswith("responses stream") or "gemini" in name
    assert text("Hi") in question[-1]["parts"] or text("Hi") in question[-2]["parts"]
    if "system" in asked or "instructions" in asked or "systemInstruction" in asked:
        assert question[0] == {"role": "system", "parts": [text("Be brief.")]}
    assert "AAAA" not in json.dumps(question)


def test_what_tools_answered_is_a_part_of_its_own() -> None:
    question, _ = said(call(*WIRES["anthropic"][:2], WIRES["anthropic"][2][0]))
    assert question[1]["parts"][0] == {"type": "tool_call_response", "id": "c0", "response": [text("12")]}


SECRETS = (
    "I am jo@example.com, +1 212 555 0100, card 4111 1111 1111 1111, IBAN DE89370400440532013000, sk-a1b2c3d4e5f6g7h8i9"
)
REDACTED = "I am [email], [phone], card [card], IBAN [iban], [secret]"


def test_both_sides_are_redacted_wherever_the_text_stands() -> None:
    arguments = json.dumps({"to": SECRETS, "card": 4111111111111111, "deep": [{SECRETS: 1}]})
    asked = {
        "messages": [{"role": "user", "content": SECRETS}, {"role": "tool", "tool_call_id": "c0", "content": SECRETS}]
    }
    tools = [{"id": "c1", "function": {"name": "send", "arguments": arguments}}]
    question, (reply,) = said(
        call(OPENAI, asked, {"choices": [{"message": {"content": SECRETS, "tool_calls": tools}}]})
    )
    assert [message["parts"][0].get("content", message["parts"][0].get("response")) for message in question] == [
        REDACTED
    ] * 2
    assert reply["parts"][0]["content"] == REDACTED
    assert reply["parts"][1]["arguments"] == {"to": REDACTED, "card": "[card]", "deep": [{REDACTED: 1}]}


def test_a_secret_that_comes_in_pieces_is_redacted() -> None:
    events = [{"choices": [{"index": 0, "delta": {"content": char}}]} for char in SECRETS]
    _, (reply,) = said(call(OPENAI, ASKED, *events, cut=50))
    assert reply["parts"] == [text(REDACTED)]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("at", range(0, 2 * MARGIN, 37))
def test_what_a_cut_goes_through_is_not_left_over(streamed: bool, at: int) -> None:
    long = "x" * (2000 - at) + " " + SECRETS * 20
    message = {"delta" if streamed else "message": {"content": long}}
    answered = [{"choices": [message]}] * (2 if streamed else 1)
    event = call(OPENAI, {"prompt": long}, *answered, capture_max_bytes=2000, cut=10_000)
    for content in (event.input_content, event.output_content):
        assert 1000 < len(content.encode()) <= 2000
        assert not [part for part in ("jo@", "@ex", "212", "555", "4111", "3704", "a1b2") if part in content]
        assert json.loads(content)[0]["parts"][-1]["cut"] is True


def test_the_newest_messages_are_kept_and_the_text_is_bounded() -> None:
    asked = {"messages": [{"role": "user", "content": f"{n} " + '"\u00e9\\' * 200} for n in range(5000)]}
    event = call(OPENAI, asked, ANSWER, capture_max_bytes=3000)
    question, _ = said(event)
    assert len(event.input_content.encode()) <= 3000
    assert question[-1]["parts"][0]["content"].startswith("4999 ")
    assert len(question) == 4


def test_a_stream_holds_no_more_than_its_bound() -> None:
    events = [{"choices": [{"index": n % 500, "delta": {"content": "word " * 20}}]} for n in range(3000)]
    event = call(OPENAI, ASKED, *events, capture_max_bytes=1000, cut=1 << 20)
    assert len(event.output_content.encode()) <= 1000
    assert event.ttft_ms is not None


def test_a_redactor_that_fails_drops_the_content_and_never_the_event() -> None:
    def broken(text: str) -> str:
        raise ValueError(text)

    def silent(text: str) -> Any:
        return None

    for redactor in (broken, silent):
        event = call(OPENAI, ASKED, ANSWER, redactors=[redactor])
        assert (event.input_content, event.output_content, event.response_model) == ("", "", "gpt-4o")
        assert "Hello" not in str(event.losses)
    losses.take()


def test_the_failure_of_a_redactor_is_counted_by_its_name() -> None:
    def broken(text: str) -> str:
        raise ValueError(text)

    call(OPENAI, ASKED, ANSWER, redactors=[broken, "email"])
    with recording(capture_content="all", redactors=[broken]) as writer:
        with llm_call(provider="openai", model="m") as first:
            first.record_input("Hi")
        with llm_call(provider="openai", model="m"):
            pass
        counted = decode(writer.lines[1]).losses
    assert counted == {"redactor_failed:broken": 1, "content_dropped": 1}


def test_a_redactor_of_your_own_by_name() -> None:
    question, _ = said(call(OPENAI, {"prompt": "<b>"}, ANSWER, redactors="html:escape"))
    assert question == [{"role": "user", "parts": [text("&lt;b&gt;")]}]


@pytest.mark.parametrize("name", ["no", "no.module:here", "json:missing"])
def test_without_a_redactor_that_was_named_nothing_is_recorded(name: str, caplog: pytest.LogCaptureFixture) -> None:
    writer = MemoryWriter()
    instrument(writer=writer, mode="lean", service="svc", redactors=[name])
    assert (
        f"redactors='{name}' is not allowed: expected email, phone, card, iban, ip, secret or module:function"
        in caplog.text
    )


def test_redactors_that_are_named_run_on_every_text_of_the_application() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        annotate(user_id="jo@example.com", tags={"jo@example.com": "jo@example.com"})
        with step("for jo@example.com"):
            pass
        evaluate(new_event_id(), "kind", 1, comment="jo@example.com said so")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    for redactors, who in (("email", "[email]"), (None, "jo@example.com"), ([_failing], "[dropped]")):
        writer = MemoryWriter()
        served = instrument(app, writer=writer, mode="lean", service="svc", redactors=redactors)
        _ask(served)
        score, request = (decode(line) for line in writer.lines)
        assert isinstance(request, Request)
        assert isinstance(score, Evaluation)
        assert (request.user_id, request.tags) == (who, {who: who})
        assert who in request.steps[0].name
        assert who in score.comment


def _failing(text: str) -> str:
    raise KeyError(text)


def _ask(app: Callable[..., Any]) -> None:
    import asyncio

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        pass

    asyncio.run(app({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send))


def test_the_calls_of_a_trace_are_drawn_together() -> None:
    event = call(OPENAI, ASKED, ANSWER, capture_ratio=0.0)
    assert (event.input_content, event.output_content) == ("", "")


def test_what_an_llm_call_is_told() -> None:
    with recording(capture_content="all") as writer:
        with llm_call(provider="openai", model="gpt-4o") as asked:
            asked.record_input([{"role": "user", "content": "Hi"}])
            asked.record({"choices": [{"delta": {"content": "Hel"}}]})
            asked.record({"choices": [{"delta": {"content": "lo"}}]})
        found = said(call_of(writer))
    assert found[0] == [{"role": "user", "parts": [text("Hi")]}]
    assert found[1][0]["parts"] == [text("Hello")]


def test_logs_do_not_hold_content() -> None:
    line = b'{"kind":"llm_call","timestamp":"2026-01-02T03:04:05Z","input_content":"[]","output_content":"[]","provider":"p"}'
    assert {"input_content", "output_content"} & set(log_record(line) or {}) == set()


def test_a_document_that_is_nothing_anybody_knows_costs_the_content_alone() -> None:
    odds: list[Any] = [
        {"choices": [{"delta": 5, "message": [1]}], "output": "x"},
        {"content": {"a": [1]}},
        {"message": []},
        [],
    ]
    for odd in odds:
        event = call(OPENAI, {"messages": [1, None, {"role": 5, "content": {"x": 1}}]}, odd)
        assert event.provider == "openai"
