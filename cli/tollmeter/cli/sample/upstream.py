"""An OpenAI-compatible upstream on loopback: answers with the token counts that the caller asks for in headers.

A plain ASGI app without a framework, so that in a benchmark it costs little beside the service that calls it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tollmeter.cli.sample import wire

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Reply = dict[str, Any]

SNAPSHOTS: Final = {
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
}
"""The dated model that answers for an alias, as the real API does."""

_DEFAULT_INPUT: Final = 128
_DEFAULT_OUTPUT: Final = 32
_MAX_CHUNKS: Final = 20
_WORD: Final = "token "
_MINUTE_TOKENS: Final = 2_000_000
_MINUTE_REQUESTS: Final = 10_000
_VECTOR: Final = (0.1, -0.2, 0.3, 0.4)
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Asked(msgspec.Struct):
    model: str
    stream: bool = False
    stream_options: _StreamOptions | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to answer one call with; times in ms."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    fail_status: int
    ttft_ms: float
    duration_ms: float


class Upstream:
    """The ASGI app: `/v1/chat/completions`, plain and streamed, and `/v1/embeddings`."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        body = await _body(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        number = next(self._numbers)
        try:
            asked, plan = msgspec.json.decode(body or b'{"model": ""}', type=_Asked), _plan(headers)
        except (msgspec.DecodeError, ValueError) as error:
            await _send_json(send, 400, number, _error("invalid_request_error", str(error)))
            return
        await self._route(scope["path"], asked, plan, number, send)

    async def _route(self, path: str, asked: _Asked, plan: _Plan, number: int, send: Send) -> None:
        if path == "/ping":
            await _send_json(send, 200, number, {"status": "ok"})
        elif plan.fail_status:
            await _send_json(send, plan.fail_status, number, _failure(plan.fail_status))
        elif path == "/v1/embeddings":
            await _send_json(send, 200, number, _embedding(asked, plan))
        elif path != "/v1/chat/completions":
            await _send_json(send, 404, number, _error("invalid_request_error", f"no such path: {path}"))
        elif asked.stream:
            await _send_stream(send, number, asked, plan)
        else:
            await asyncio.sleep(plan.duration_ms / 1000)
            await _send_json(send, 200, number, _completion(number, asked, plan))


def create_upstream() -> Upstream:
    """The app, for a server that wants a factory."""
    return Upstream()


async def _lifespan(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": message["type"] + ".complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def _body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _plan(headers: dict[str, str]) -> _Plan:
    duration = float(headers.get(wire.DURATION_MS, 0))
    return _Plan(
        input_tokens=int(headers.get(wire.INPUT_TOKENS, _DEFAULT_INPUT)),
        output_tokens=int(headers.get(wire.OUTPUT_TOKENS, _DEFAULT_OUTPUT)),
        cached_tokens=int(headers.get(wire.CACHED_TOKENS, 0)),
        fail_status=_fail_status(headers),
        ttft_ms=float(headers.get(wire.TTFT_MS, 0)),
        duration_ms=duration,
    )


def _fail_status(headers: dict[str, str]) -> int:
    status = int(headers.get(wire.FAIL_STATUS, 0))
    retry = int(headers.get("x-stainless-retry-count", 0))
    return status if retry < int(headers.get(wire.FAIL_ATTEMPTS, retry + 1)) else 0


def _usage(plan: _Plan) -> Reply:
    return {
        "prompt_tokens": plan.input_tokens,
        "completion_tokens": plan.output_tokens,
        "total_tokens": plan.input_tokens + plan.output_tokens,
        "prompt_tokens_details": {"cached_tokens": plan.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _envelope(number: int, asked: _Asked, kind: str) -> Reply:
    return {
        "id": f"chatcmpl-loopback{number:08d}",
        "object": kind,
        "created": int(time.time()),
        "model": SNAPSHOTS.get(asked.model, asked.model),
        "service_tier": "default",
        "system_fingerprint": "fp_loopback",
    }


def _completion(number: int, asked: _Asked, plan: _Plan) -> Reply:
    message = {"role": "assistant", "content": _WORD * min(plan.output_tokens, _MAX_CHUNKS), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return _envelope(number, asked, "chat.completion") | {"choices": [choice], "usage": _usage(plan)}


def _embedding(asked: _Asked, plan: _Plan) -> Reply:
    usage = {"prompt_tokens": plan.input_tokens, "total_tokens": plan.input_tokens}
    data = [{"object": "embedding", "index": 0, "embedding": _VECTOR}]
    return {"object": "list", "data": data, "model": asked.model, "usage": usage}


def _chunks(number: int, asked: _Asked, plan: _Plan) -> Iterator[Reply]:
    """The chunks as the real API sends them: role, content, finish reason, then usage without choices."""
    base = _envelope(number, asked, "chat.completion.chunk")
    with_usage = bool(asked.stream_options and asked.stream_options.include_usage)
    base |= {"usage": None} if with_usage else {}
    deltas: list[Reply] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": _WORD}] * min(plan.output_tokens, _MAX_CHUNKS)
    for delta in deltas:
        yield base | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
    yield base | {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]}
    if with_usage:
        yield base | {"choices": [], "usage": _usage(plan)}


def _failure(status: int) -> Reply:
    if status == _TOO_MANY:
        return _error("rate_limit_exceeded", "Rate limit reached for requests. Please try again in 20ms.")
    return _error("server_error", "The server had an error while processing your request.")


def _error(code: str, message: str) -> Reply:
    return {"error": {"message": message, "type": code, "param": None, "code": code}}


def _headers(number: int, status: int, content_type: bytes) -> list[tuple[bytes, bytes]]:
    left = 0 if status == _TOO_MANY else _MINUTE_REQUESTS - number % _MINUTE_REQUESTS
    headers = [
        (b"content-type", content_type),
        (b"x-request-id", f"req_loopback{number:08d}".encode()),
        (b"openai-processing-ms", b"1"),
        (b"openai-version", b"2020-10-01"),
        (b"x-ratelimit-limit-requests", str(_MINUTE_REQUESTS).encode()),
        (b"x-ratelimit-remaining-requests", str(left).encode()),
        (b"x-ratelimit-limit-tokens", str(_MINUTE_TOKENS).encode()),
        (b"x-ratelimit-remaining-tokens", str(_MINUTE_TOKENS // 2).encode()),
    ]
    # Real limits say minutes; a replay that injects failures should not wait for them.
    retry = [(b"retry-after-ms", b"20")] if status == _TOO_MANY or status >= _SERVER_ERROR else []
    return headers + retry


async def _send_json(send: Send, status: int, number: int, reply: Reply) -> None:
    body = msgspec.json.encode(reply)
    headers = [*_headers(number, status, b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_stream(send: Send, number: int, asked: _Asked, plan: _Plan) -> None:
    headers = _headers(number, 200, b"text/event-stream; charset=utf-8")
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    chunks = list(_chunks(number, asked, plan))
    pause = max(0.0, plan.duration_ms - plan.ttft_ms) / 1000 / len(chunks)
    await asyncio.sleep(plan.ttft_ms / 1000)
    for chunk in chunks:
        body = b"data: " + msgspec.json.encode(chunk) + b"\n\n"
        await send({"type": "http.response.body", "body": body, "more_body": True})
        if pause:
            await asyncio.sleep(pause)
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})
