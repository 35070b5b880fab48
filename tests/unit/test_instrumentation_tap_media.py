"""Images and audio: forms, large answers, streams of pictures, usage by kind of token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from types import ModuleType
from typing import Any, cast

import aiohttp
import httpx
import httpx2
import pytest
import requests
from tap_server import tap_server
from tapping import call_of, calls_of, recording

from tollmeter.instrumentation.tap import body as tapped_body
from tollmeter.instrumentation.tap import scanning
from tollmeter.model.events import LlmCall

IMAGES = "https://api.openai.com/v1/images/generations"
AUDIO = "https://api.openai.com/v1/audio"
IMAGE_USAGE = {
    "input_tokens": 200,
    "output_tokens": 1056,
    "total_tokens": 1256,
    "input_tokens_details": {"text_tokens": 50, "image_tokens": 150},
}
TOKENS = {
    "type": "tokens",
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 10, "audio_tokens": 4},
    "output_tokens": 101,
    "total_tokens": 115,
}


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return cast("ModuleType", request.param)


def asked(module: ModuleType, url: str, answer: Any, **sent: Any) -> LlmCall:
    with recording() as events, module.Client(transport=module.MockTransport(lambda _: answer)) as http:
        http.post(url, **sent)
        return call_of(events)


def sse(*documents: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)


def test_an_image(module: ModuleType) -> None:
    document = {"created": 1, "data": [{"b64_json": "x" * 100}], "usage": IMAGE_USAGE}
    call = asked(
        module, IMAGES, module.Response(200, json=document), json={"model": "gpt-image-1.5", "prompt": "a cat"}
    )
    assert (call.operation, call.request_model, call.status) == ("image_generation", "gpt-image-1.5", "ok")
    assert (call.input_tokens, call.input_image_tokens) == (200, 150)
    assert (call.output_tokens, call.output_image_tokens) == (1056, 1056)
    # 50 x 5 + 150 x 8 + 1056 x 32, per million
    assert call.cost_usd == Decimal("0.035242")


def test_an_edit_names_its_model_in_a_form(module: ModuleType) -> None:
    document = {"data": [], "usage": IMAGE_USAGE}
    files = {"image": ("cat.png", b"\x89PNG" * 9000, "image/png")}
    url = "https://api.openai.com/v1/images/edits"
    sent = {"data": {"model": "gpt-image-1.5", "prompt": "?", "stream": "true"}, "files": files}
    call = asked(module, url, module.Response(200, json=document), **sent)
    assert (call.request_model, call.stream, call.output_tokens) == ("gpt-image-1.5", True, 1056)


def test_an_image_without_usage_is_missing(module: ModuleType) -> None:
    call = asked(module, IMAGES, module.Response(200, json={"data": [{"url": "u"}]}), json={"model": "dall-e-2"})
    assert (call.usage_source, call.cost_usd, call.cost_status) == ("missing", None, "unpriced")


def test_a_stream_of_pictures(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MAX_LINE", 4 << 20)
    picture = "x" * (2 << 20)
    body = sse(
        {"type": "image_generation.partial_image", "b64_json": picture},
        {"type": "image_generation.completed", "b64_json": picture, "usage": IMAGE_USAGE},
    )
    answer = module.Response(200, content=body, headers={"content-type": "text/event-stream"})
    call = asked(module, IMAGES, answer, json={"model": "gpt-image-1.5", "stream": True})
    assert (call.status, call.stream, call.output_image_tokens, call.losses) == ("ok", True, 1056, {})


@pytest.mark.parametrize("usage", [IMAGE_USAGE, None])
def test_of_an_answer_too_long_to_hold_the_usage_is_kept(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, usage: Any
) -> None:
    monkeypatch.setattr(tapped_body, "MAX_JSON", 100_000)
    document: dict[str, Any] = {"created": 1, "data": [{"b64_json": "x" * 200_000}]}
    if usage:
        document["usage"] = usage

    class Body(module.SyncByteStream):  # type: ignore[name-defined, misc]  # of whichever module it is
        def __iter__(self) -> Iterator[bytes]:
            whole = json.dumps(document).encode()
            yield from (whole[at : at + 1000] for at in range(0, len(whole), 1000))

    call = asked(module, IMAGES, module.Response(200, stream=Body()), json={"model": "gpt-image-1.5"})
    assert call.output_tokens == (1056 if usage else None)
    assert call.losses == ({} if usage else {"answer_over_16MiB": 1})


def test_a_transcription_by_tokens(module: ModuleType) -> None:
    answer = module.Response(200, json={"text": "hi", "usage": TOKENS})
    form = {"data": {"model": "gpt-4o-transcribe"}, "files": {"file": ("a.mp3", b"ID3" * 9000)}}
    call = asked(module, f"{AUDIO}/transcriptions", answer, **form)
    assert (call.operation, call.request_model) == ("audio", "gpt-4o-transcribe")
    assert (call.input_tokens, call.input_audio_tokens, call.output_tokens) == (14, 4, 101)
    # 10 x 2.50 + 4 x 6 + 101 x 10, per million
    assert call.cost_usd == Decimal("0.001059")


def test_a_transcription_by_duration_or_as_text_has_no_tokens(module: ModuleType) -> None:
    form = {"data": {"model": "whisper-1"}, "files": {"file": ("a.mp3", b"ID3")}}
    seconds = module.Response(200, json={"text": "hi", "usage": {"type": "duration", "seconds": 27}})
    plain = module.Response(200, text="hi", headers={"content-type": "text/plain"})
    for answer in (seconds, plain):
        call = asked(module, f"{AUDIO}/translations", answer, **form)
        assert (call.status, call.usage_source, call.cost_usd) == ("ok", "missing", None)


def test_a_streamed_transcription(module: ModuleType) -> None:
    body = sse({"type": "transcript.text.delta", "delta": "hi"}, {"type": "transcript.text.done", "usage": TOKENS})
    answer = module.Response(200, content=body, headers={"content-type": "text/event-stream"})
    form = {"data": {"model": "gpt-4o-transcribe", "stream": "true"}, "files": {"file": ("a.mp3", b"ID3")}}
    call = asked(module, f"{AUDIO}/transcriptions", answer, **form)
    assert (call.status, call.stream, call.output_tokens, call.ttft_ms is not None) == ("ok", True, 101, True)


def test_speech_is_never_held_and_tells_no_usage(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tapped_body, "MAX_JSON", 10)
    answer = module.Response(200, content=b"ID3" * 100, headers={"content-type": "audio/mpeg"})
    call = asked(module, f"{AUDIO}/speech", answer, json={"model": "tts-1", "input": "hi"})
    assert (call.operation, call.usage_source, call.losses, call.ttfb_ms is not None) == ("audio", "missing", {}, True)


def test_the_form_of_requests_and_of_aiohttp() -> None:
    with tap_server() as server:
        url = server.url.replace("/chat/completions", "/audio/transcriptions")
        with recording(providers={server.address: "openai"}) as events:
            with requests.Session() as session:
                session.trust_env = False
                session.post(url, data={"model": "gpt-4o-transcribe"}, files={"file": b"ID3" * 9000})
            form = aiohttp.FormData({"model": "gpt-4o-mini-transcribe"})
            form.add_field("file", b"ID3" * 9000, filename="a.mp3")
            asyncio.run(_post(url, form))
            models = [call.request_model for call in calls_of(events)]
    assert models == ["gpt-4o-transcribe", "gpt-4o-mini-transcribe"]


async def _post(url: str, form: aiohttp.FormData) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, data=form) as response:
        await response.read()
