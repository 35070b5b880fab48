"""What a scanner keeps of a long stream: counts from anywhere, endings from its end, however it is cut."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from tollmeter.instrumentation.attribution import Attributor
from tollmeter.instrumentation.calls import Call
from tollmeter.instrumentation.recorder import Recorder
from tollmeter.instrumentation.tap.scanning import TAIL, lines_with
from tollmeter.instrumentation.tap.watch import Watch
from tollmeter.instrumentation.tap.wires import WIRE_OPENAI, WIRES
from tollmeter.instrumentation.tracing import LeanTracing
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode
from tollmeter.model.settings import Settings


def recorded(body: bytes, step: int, encoding: bytes = b"", *, abandoned: bool = False) -> LlmCall:
    settings, writer = Settings.load(service="scanning"), MemoryWriter()
    recorder = Recorder(settings, writer, LeanTracing(settings), Attributor(settings))
    seen = Watch(Call(recorder, provider="openai", operation="chat"), WIRES[WIRE_OPENAI])
    head = {b"content-type": b"text/event-stream", b"content-encoding": encoding}
    seen.respond(200, head, decoded=False)
    for at in range(0, len(body), step):
        seen.feed(body[at : at + step])
    if abandoned:
        seen.abandon()
    else:
        seen.complete()
    event = decode(writer.lines[-1])
    assert isinstance(event, LlmCall)
    return event


def sse(*documents: dict[str, Any], done: bool = True) -> bytes:
    lines = [b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n" for document in documents]
    return b"".join((*lines, b"data: [DONE]\n\n" if done else b""))


def delta(text: str = "word ", **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "choices": [{"delta": {"content": text}, "finish_reason": None}], "usage": None} | fields


USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
LONG = [delta()] * (8 * TAIL // 100)
STOP = delta(choices=[{"delta": {}, "finish_reason": "stop"}])


@pytest.mark.parametrize("step", [1, 100, 1 << 14, 1 << 20])
@pytest.mark.parametrize("encoding", [b"", b"gzip"])
def test_usage_counts_wherever_it_stands_and_the_end_is_seen(step: int, encoding: bytes) -> None:
    body = sse(delta(), delta(usage=USAGE), *LONG, STOP)
    packed = zlib.compress(body, wbits=31) if encoding else body
    event = recorded(packed, step, encoding)
    assert (event.input_tokens, event.output_tokens, event.finish_reason, event.status) == (7, 5, "stop", "ok")


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
def test_an_error_at_the_end_of_a_long_stream_is_the_calls_error(step: int) -> None:
    broken = {"error": {"code": "server_error", "message": "m" * 3 * TAIL}}
    event = recorded(sse(*LONG, broken, done=False), step)
    assert (event.status, event.error_type, event.usage_source) == ("error", "server_error", "missing")


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
def test_a_terminal_event_longer_than_what_is_kept_is_read(step: int) -> None:
    created = {"type": "response.created", "response": {"model": "gpt-4o"}}
    words = [{"type": "response.output_text.delta", "delta": "word"}] * 1000
    counts = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
    ended = {"type": "response.completed", "response": {"instructions": "i" * 3 * TAIL, "usage": counts}}
    event = recorded(sse(created, *words, ended, done=False), step, abandoned=True)
    assert (event.input_tokens, event.output_tokens, event.status) == (7, 5, "ok")


@pytest.mark.parametrize(("done", "status"), [(True, "ok"), (False, "partial")])
def test_whoever_stops_reading_behind_the_last_event_has_had_all(done: bool, status: str) -> None:
    assert recorded(sse(*LONG, delta(usage=USAGE), done=done), 1000, abandoned=True).status == status


def test_lines_are_found_by_their_marks() -> None:
    data = b"a x\nb y\n\nc x y"
    assert lines_with((b"x", b"y"), data) == [b"a x", b"b y", b"c x y"]
    assert lines_with((b"y",), data) == [b"b y", b"c x y"]
    assert lines_with((), data, last=True) == [b"c x y"]
    assert lines_with((b"z",), b"") == []
