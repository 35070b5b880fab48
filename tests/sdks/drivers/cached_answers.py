"""Providers on loopback whose every answer read from the prompt cache, one port each, as host and port tell them apart.

OpenAI and Gemini count the cache inside the input, Anthropic and Bedrock beside it; each means 1,000 tokens in, 50 out.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from eventstreams import converse_event

_JSON, _SSE, _FRAMES = "application/json", "text/event-stream", "application/vnd.amazon.eventstream"
_OPENAI: Final = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 600},
    "completion_tokens_details": {"reasoning_tokens": 20},
}
_RESPONSES: Final = {
    "input_tokens": 1000,
    "output_tokens": 50,
    "total_tokens": 1050,
    "input_tokens_details": {"cached_tokens": 600},
    "output_tokens_details": {"reasoning_tokens": 20},
}
_ANTHROPIC: Final = {
    "input_tokens": 400,
    "cache_read_input_tokens": 500,
    "cache_creation_input_tokens": 100,
    "output_tokens": 50,
}
_BEDROCK: Final = {
    "inputTokens": 400,
    "outputTokens": 50,
    "totalTokens": 1050,
    "cacheReadInputTokens": 500,
    "cacheWriteInputTokens": 100,
}
_GEMINI: Final = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 600,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 20,
    "totalTokenCount": 1050,
}
Answer = tuple[str, bytes]


def _sse(*events: dict[str, Any], end: bytes = b"") -> Answer:
    return _SSE, b"".join(_event(event) for event in events) + end


def _event(event: dict[str, Any]) -> bytes:
    name = b"event: %b\n" % event["type"].encode() if "type" in event else b""
    return b"%bdata: %b\n\n" % (name, json.dumps(event).encode())


def _json(document: dict[str, Any]) -> Answer:
    return _JSON, json.dumps(document).encode()


def _chat(body: dict[str, Any], number: int) -> Answer:
    head = {"id": f"chatcmpl-{number}", "created": 1, "model": "gpt-4o-2024-08-06", "service_tier": "default"}
    if body.get("stream"):
        head["object"] = "chat.completion.chunk"
        deltas = ({"role": "assistant", "content": ""}, {"content": "hi"})
        chunks = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        chunks.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        return _sse(*chunks, head | {"choices": [], "usage": _OPENAI}, end=b"data: [DONE]\n\n")
    message: dict[str, Any] = {"role": "assistant", "content": "hi"}
    wants_tool = body.get("tools") and body["messages"][-1]["role"] != "tool"
    if wants_tool:
        function = {"name": body["tools"][0]["function"]["name"], "arguments": "{}"}
        message = {"role": "assistant", "tool_calls": [{"id": "t1", "type": "function", "function": function}]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if wants_tool else "stop"}
    return _json(head | {"object": "chat.completion", "choices": [choice], "usage": _OPENAI})


def _responses(body: dict[str, Any], number: int) -> Answer:
    text = {"type": "output_text", "text": "hi", "annotations": []}
    output = [{"type": "message", "id": "m1", "status": "completed", "role": "assistant", "content": [text]}]
    answer = {"id": f"resp_{number}", "object": "response", "created_at": 1, "model": "gpt-4o-2024-08-06"}
    answer |= {"status": "completed", "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    answer |= {"usage": _RESPONSES, "service_tier": "default"}
    if not body.get("stream"):
        return _json(answer)
    created = {"type": "response.created", "sequence_number": 0}
    delta = {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m1", "output_index": 0}
    delta |= {"content_index": 0, "delta": "hi", "logprobs": []}
    done = {"type": "response.completed", "sequence_number": 2, "response": answer}
    return _sse(created | {"response": answer | {"status": "in_progress", "usage": None}}, delta, done)


def _embeddings(_: dict[str, Any], __: int) -> Answer:
    data = [{"object": "embedding", "index": 0, "embedding": [0.1]}]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return _json({"object": "list", "model": "text-embedding-3-small", "data": data, "usage": usage})


def _messages(body: dict[str, Any], number: int) -> Answer:
    message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929"}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    if not body.get("stream"):
        return _json(message | end | {"content": [{"type": "text", "text": "hi"}], "usage": _ANTHROPIC})
    start: dict[str, Any] = message | {"content": [], "stop_reason": None, "usage": _ANTHROPIC | {"output_tokens": 1}}
    return _sse(
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 50}},
        {"type": "message_stop"},
    )


def _converse(_: dict[str, Any], __: int) -> Answer:
    message = {"role": "assistant", "content": [{"text": "hi"}]}
    return _json(
        {"output": {"message": message}, "stopReason": "end_turn", "usage": _BEDROCK, "metrics": {"latencyMs": 5}}
    )


def _converse_stream(_: dict[str, Any], __: int) -> Answer:
    return _FRAMES, b"".join(
        (
            converse_event({"role": "assistant"}, "messageStart"),
            converse_event({"contentBlockIndex": 0, "delta": {"text": "hi"}}, "contentBlockDelta"),
            converse_event({"contentBlockIndex": 0}, "contentBlockStop"),
            converse_event({"stopReason": "end_turn"}, "messageStop"),
            converse_event({"usage": _BEDROCK, "metrics": {"latencyMs": 5}}, "metadata"),
        )
    )


def _generate(_: dict[str, Any], number: int) -> Answer:
    candidate = {"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}
    answer = {"responseId": f"r{number}", "modelVersion": "gemini-2.5-flash", "candidates": [candidate]}
    return _json(answer | {"usageMetadata": _GEMINI})


_ROUTES: Final[dict[str, Callable[[dict[str, Any], int], Answer]]] = {
    "/chat/completions": _chat,
    "/responses": _responses,
    "/embeddings": _embeddings,
    "/v1/messages": _messages,
    "/converse": _converse,
    "/converse-stream": _converse_stream,
    "/invoke": _messages,
    ":generateContent": _generate,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = self.path.partition("?")[0]
        _Handler.count += 1
        kind, answer = next(route for end, route in _ROUTES.items() if path.endswith(end))(body, _Handler.count)
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        if path.endswith("/invoke"):
            self.send_header("x-amzn-bedrock-cache-read-input-token-count", "500")
            self.send_header("x-amzn-bedrock-cache-write-input-token-count", "100")
        self.end_headers()
        self.wfile.write(answer)

    log_message: Callable[..., None] = lambda *_: None


def serve() -> str:
    """Start one provider; returns its host and port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"
