"""Cohere and Ollama on the wire, what tools and structured output look like, and what routers and servers tell."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from tapping import call_of, recording

from tollmeter.model.events import LlmCall
from tollmeter.pricing import Usage, extract_usage

BILLED = {"billed_units": {"input_tokens": 5, "output_tokens": 10}, "tokens": {"input_tokens": 71, "output_tokens": 10}}


def asked(url: str, body: Any, kind: str = "application/json", *, sent: Any = None, size: int = 9) -> LlmCall:
    whole = body if isinstance(body, bytes) else json.dumps(body).encode()

    class Body(httpx2.SyncByteStream):
        def __iter__(self) -> Any:
            yield from (whole[at : at + size] for at in range(0, len(whole), size))

    answer = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=Body(), headers={"content-type": kind}))
    with recording() as events, httpx2.Client(transport=answer) as http:
        http.post(url, json=sent or {})
        return call_of(events)


def sse(*documents: dict[str, Any]) -> bytes:
    return b"".join(b"event: e\ndata: " + json.dumps(document).encode() + b"\n\n" for document in documents)


def lines(*documents: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


COHERE = "https://api.cohere.com"
SSE = "text/event-stream"


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v2/chat", {"id": "c1", "finish_reason": "COMPLETE", "usage": BILLED}, "application/json"),
        ("/v1/chat", {"generation_id": "c1", "finish_reason": "COMPLETE", "meta": BILLED}, "application/json"),
        (
            "/v2/chat",
            sse(
                {"type": "message-start", "id": "c1"},
                {"type": "content-delta", "delta": {"message": {"content": {"text": "hi"}}}},
                {"type": "message-end", "id": "c1", "delta": {"finish_reason": "COMPLETE", "usage": BILLED}},
            ),
            SSE,
        ),
        (
            "/v1/chat",
            lines(
                {"event_type": "stream-start", "generation_id": "c1"},
                {"event_type": "text-generation", "text": "hi"},
                {"event_type": "stream-end", "response": {"finish_reason": "COMPLETE", "meta": BILLED}},
            ),
            "application/stream+json",
        ),
    ],
)
def test_cohere(path: str, body: Any, kind: str) -> None:
    call = asked(COHERE + path, body, kind, sent={"model": "command-r"})
    streamed = kind != "application/json"
    assert (call.provider, call.operation, call.status, call.stream) == ("cohere", "chat", "ok", streamed)
    assert (call.input_tokens, call.output_tokens, call.finish_reason) == (5, 10, "complete")
    assert (call.ttft_ms is not None, call.cost_status) == (streamed, "priced")


def test_cohere_embeds_and_reranks() -> None:
    told = {"id": "e1", "embeddings": {"float": []}, "meta": {"billed_units": {"input_tokens": 7}}}
    embedded = asked(COHERE + "/v2/embed", told)
    assert (embedded.operation, embedded.input_tokens, embedded.output_tokens) == ("embeddings", 7, 0)
    assert embedded.provider_request_id == "e1"
    reranked = asked(COHERE + "/v2/rerank", {"results": [], "meta": {"billed_units": {"search_units": 1}}})
    assert (reranked.operation, reranked.usage_source, reranked.cost_usd) == ("rerank", "missing", None)


OLLAMA = "http://localhost:11434"
LAST = {"model": "llama3.2", "done": True, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 298}


@pytest.mark.parametrize(
    ("path", "first", "operation"),
    [
        ("/api/chat", {"message": {"role": "assistant", "content": "hi"}, "done": False}, "chat"),
        ("/api/chat", {"message": {"tool_calls": [{"function": {}}]}, "done": False}, "chat"),
        ("/api/generate", {"response": "hi", "done": False}, "text_completion"),
    ],
)
def test_ollama_streams(path: str, first: dict[str, Any], operation: str) -> None:
    call = asked(OLLAMA + path, lines(first, first, LAST), "application/x-ndjson", sent={"model": "llama3.2"})
    assert (call.provider, call.operation, call.stream, call.status) == ("ollama", operation, True, "ok")
    assert (call.input_tokens, call.output_tokens, call.finish_reason) == (26, 298, "stop")
    assert (call.response_model, call.cost_status, call.ttft_ms is not None) == ("llama3.2", "unpriced", True)


def test_ollama_plain_and_its_errors() -> None:
    plain = asked(OLLAMA + "/api/chat", LAST)
    assert (plain.input_tokens, plain.output_tokens, plain.stream) == (26, 298, False)
    embedded = asked(OLLAMA + "/api/embed", {"embeddings": [], "prompt_eval_count": 8})
    assert (embedded.input_tokens, embedded.output_tokens) == (8, 0)
    broken = asked(OLLAMA + "/api/chat", lines({"error": "model runner has stopped"}), "application/x-ndjson")
    assert (broken.status, broken.error_type) == ("error", "model runner has stopped")


@pytest.mark.parametrize(
    ("body", "stream", "expected"),
    [
        (json.dumps(LAST).encode(), False, Usage(input_tokens=26, output_tokens=298)),
        (lines({"done": False}, LAST), True, Usage(input_tokens=26, output_tokens=298)),
        (b'{"error":"x"}', False, None),
        (b"{}", False, Usage(source="missing")),
        (b"not json", True, Usage(source="missing")),
    ],
)
def test_the_door_knows_ollama(body: bytes, expected: Usage | None, *, stream: bool) -> None:
    found = extract_usage("ollama", endpoint="/api/chat", status=200, headers={}, body=body, stream=stream)
    assert found == expected


def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} | more


USAGE = {"prompt_tokens": 10, "completion_tokens": 5}
# Text that looks like what is searched for must not be taken for it.
DECOY = '{"usage": {"prompt_tokens": 999, "completion_tokens": 999}, "error": "finish_reason": "stop" [DONE]}'


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]},
        {"function_call": {"name": "f"}},
        {"refusal": "no"},
        {"reasoning_content": "hm"},
        {"content": DECOY},
    ],
)
def test_the_first_token_of_any_kind_and_usage_that_is_only_spoken_of(delta: dict[str, Any]) -> None:
    tail = {"tool_calls": [{"index": 0, "function": {"arguments": DECOY}}]}
    told = [{"role": "assistant"}, delta, tail, {"content": DECOY}]
    body = sse(*map(chunk, told), chunk({}, usage=USAGE))
    call = asked("https://api.openai.com/v1/chat/completions", body + b"data: [DONE]\n\n", SSE, size=64)
    assert (call.status, call.error_type, call.input_tokens, call.output_tokens) == ("ok", "", 10, 5)
    assert call.ttft_ms is not None


def test_what_a_tool_of_claude_writes_is_no_usage() -> None:
    body = sse(
        {"type": "message_start", "message": {"model": "claude-sonnet-4-5", "usage": {"input_tokens": 10}}},
        {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f", "input": {}}},
        {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": DECOY}},
        {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": '"message_delta"'}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    )
    call = asked("https://api.anthropic.com/v1/messages", body, SSE)
    assert (call.status, call.input_tokens, call.output_tokens, call.finish_reason) == ("ok", 10, 5, "tool_use")
    assert call.inference_region == ""


def test_what_a_router_chose_answers() -> None:
    arn = "arn:aws:bedrock:us-west-2::foundation-model/amazon.nova-lite-v1:0"
    router = "arn%3Aaws%3Abedrock%3Aus-west-2%3A1%3Adefault-prompt-router%2Fx"
    trace = {"promptRouter": {"invokedModelId": arn}}
    body = {"usage": {"inputTokens": 3, "outputTokens": 4}, "trace": trace, "serviceTier": {"type": "flex"}}
    call = asked(f"https://bedrock-runtime.us-west-2.amazonaws.com/model/{router}/converse", body)
    assert call.request_model.startswith("arn:aws:bedrock")
    assert (call.resource_id, call.response_model) == (call.request_model, "amazon.nova-lite-v1:0")
    assert (call.inference_region, call.service_tier, call.input_tokens) == ("us-west-2", "flex", 3)


def test_what_gemini_tells_in_its_body() -> None:
    usage = {"promptTokenCount": 8, "candidatesTokenCount": 5, "serviceTier": "standard"}
    url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent?key=k"
    call = asked(url, {"responseId": "r1", "usageMetadata": usage})
    assert (call.provider_request_id, call.service_tier, len(call.credential_ref)) == ("r1", "standard", 16)


def test_predictions_of_vertex() -> None:
    base = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google/models"
    vectors = [{"embeddings": {"values": [], "statistics": {"token_count": count}}} for count in (3, 4)]
    call = asked(f"{base}/text-embedding-005:predict", {"predictions": vectors})
    assert (call.operation, call.request_model, call.input_tokens, call.output_tokens) == (
        "embeddings",
        "text-embedding-005",
        7,
        0,
    )
    assert call.inference_region == "us-central1"


def test_a_realtime_event_through_the_door() -> None:
    usage = {
        "total_tokens": 909,
        "input_tokens": 812,
        "output_tokens": 97,
        "input_token_details": {"text_tokens": 300, "audio_tokens": 512, "cached_tokens": 256},
        "output_token_details": {"text_tokens": 20, "audio_tokens": 77},
    }
    event = json.dumps({"type": "response.done", "response": {"id": "r", "usage": usage}}).encode()
    found = extract_usage("openai", endpoint="/v1/realtime", status=200, headers={}, body=event, stream=False)
    assert found == Usage(
        input_tokens=812, output_tokens=97, cache_read_tokens=256, input_audio_tokens=512, output_audio_tokens=77
    )
