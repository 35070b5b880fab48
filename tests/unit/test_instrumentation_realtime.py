"""The documented way to record an answer of a realtime session, over a real WebSocket on loopback."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tapping import call_of, recording
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tollmeter.instrumentation import llm_call

USAGE = {
    "total_tokens": 909,
    "input_tokens": 812,
    "output_tokens": 97,
    "input_token_details": {
        "text_tokens": 300,
        "audio_tokens": 512,
        "cached_tokens": 256,
        "cached_tokens_details": {"text_tokens": 256, "audio_tokens": 0},
    },
    "output_token_details": {"text_tokens": 20, "audio_tokens": 77},
}
EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "usage": None}},
    {"type": "response.output_audio.delta", "delta": "AAAA"},
    {
        "type": "response.done",
        "response": {
            "id": "resp_1",
            "object": "realtime.response",
            "status": "completed",
            "output": [],
            "usage": USAGE,
        },
    },
]


async def answer(socket: ServerConnection) -> None:
    async for _ in socket:
        for event in EVENTS:
            await socket.send(json.dumps(event))


async def talk() -> None:
    async with serve(answer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", proxy=None) as socket:
            with llm_call(provider="openai", model="gpt-realtime", stream=True) as call:
                await socket.send('{"type": "response.create"}')
                async for message in socket:
                    event = json.loads(message)
                    if event["type"].endswith(".delta"):
                        call.first_token()
                    if event["type"] == "response.done":
                        call.record(event)
                        break


def test_the_recipe_of_the_docs() -> None:
    with recording() as events:
        asyncio.run(talk())
        call = call_of(events)
    assert (call.provider, call.request_model, call.stream, call.status) == ("openai", "gpt-realtime", True, "ok")
    assert (call.input_tokens, call.input_audio_tokens, call.cache_read_tokens) == (812, 512, 256)
    assert (call.output_tokens, call.output_audio_tokens, call.usage_source) == (97, 77, "reported")
    assert call.ttft_ms is not None
    # 44 x 4 + 512 x 32 + 256 x 0.40 + 20 x 16 + 77 x 64, per million
    assert str(call.cost_usd) == "0.021910400000"
