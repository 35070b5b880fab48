"""Which requests ask for a stream's usage, what they say, and what of the answer is kept from the caller."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise

import brotli
import pytest
from asking_server import USAGE, stream
from hypothesis import given
from hypothesis import strategies as st

from tollmeter.instrumentation import active, instrument
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.tap import asking
from tollmeter.instrumentation.tap.asking import Target, asking_body, is_refusal, remember_refusal, with_question
from tollmeter.instrumentation.tap.encodings import decoder_of
from tollmeter.instrumentation.tap.hiding import UsageHider, hider_of
from tollmeter.instrumentation.writer import MemoryWriter

BODY = b'{"stream": true, "messages": []}'
CHAT = "/v1/chat/completions"
DEPLOYED = "/openai/deployments/d/chat/completions"
AZURE = "r.openai.azure.com"
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
}


@pytest.fixture(autouse=True)
def asks() -> Iterator[None]:
    active._default.clear()
    instrument(
        writer=MemoryWriter(), mode="lean", include_usage=True, include_usage_hosts=["llm.test:8000", "own.test"]
    )
    yield
    active._default.clear()
    asking._refusing.clear()


@pytest.mark.parametrize(
    ("target", "asks_for_it"),
    [
        (Target("api.openai.com", None, CHAT, b""), True),
        (Target("api.openai.com", None, "/v1/completions", b""), True),
        (Target("api.openai.com", None, "/v1/responses", b""), False),
        (Target("api.groq.com", None, "/openai" + CHAT, b""), False),
        (Target("llm.test", 8000, CHAT, b""), True),
        (Target("llm.test", 8001, CHAT, b""), False),
        (Target("own.test", 8001, CHAT, b""), True),
        (Target(AZURE, None, DEPLOYED, b"api-version=2024-02-01"), False),
        (Target(AZURE, None, DEPLOYED, b"api-version=2024-08-01-preview"), False),
        (Target(AZURE, None, DEPLOYED, b"x=1&api-version=2024-09-01-preview"), True),
        (Target(AZURE, None, DEPLOYED, b"api-version=2024-10-21"), True),
        (Target(AZURE, None, DEPLOYED, b""), False),
        (Target(AZURE, None, "/openai/v1/chat/completions", b""), True),
    ],
)
def test_only_hosts_that_are_known_to_accept_it_are_asked(target: Target, *, asks_for_it: bool) -> None:
    asked = b'{"stream":true,"messages":[],"stream_options":{"include_usage":true}}'
    assert asking_body(target, {}, BODY) == (asked if asks_for_it else None)


@pytest.mark.parametrize("body", [iter([BODY]), None, "text", b"", b"{", b"[]", b"null", b'{"stream": 1}', b"\xff"])
def test_what_is_no_plain_streaming_body_goes_as_it_is(body: object) -> None:
    assert asking_body(Target("api.openai.com", None, CHAT, b""), {}, body) is None


def test_every_other_field_keeps_its_bytes() -> None:
    body = '{"b": 1.0e0 ,"stream":true,"a":"\\u00e9é","stream_options":{"include_obfuscation": false}}'.encode()
    asked = with_question(body)
    assert asked is not None
    assert b'"b":1.0e0' in asked
    assert '"a":"\\u00e9é"'.encode() in asked
    assert json.loads(asked)["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_a_host_that_refused_is_not_asked_again_and_few_are_remembered() -> None:
    losses.take()
    target = Target("own.test", None, CHAT, b"")
    remember_refusal(target)
    assert asking_body(target, {}, BODY) is None
    for number in range(2000):
        remember_refusal(Target(f"h{number}", None, CHAT, b""))
    assert len(asking._refusing) == 1024
    assert losses.take() == {"include_usage_refused": 2001}


def test_only_an_answer_that_names_the_question_is_a_refusal() -> None:
    assert is_refusal(400, b"Unrecognized request argument supplied: stream_options")
    assert not is_refusal(400, b"maximum context length")
    assert not is_refusal(200, b"stream_options")


@given(st.lists(st.integers(0, 2500), max_size=30), st.sampled_from(["", "gzip", "deflate", "br"]), st.booleans())
def test_a_stream_is_the_same_however_it_is_cut(cuts: list[int], encoding: str, last_too: bool) -> None:
    body, hider = PACK[encoding](stream(asked=True, last_too=last_too)), UsageHider(decoder_of(encoding.encode()))
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    found = b"".join(hider.feed(body[start:end]) for start, end in pairwise(edges))
    assert found + hider.flush() == stream(asked=False, last_too=last_too)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_any_line_ending(end: bytes) -> None:
    answer = b'event: x\ndata: {"choices": [], "usage": ' + json.dumps(USAGE).encode() + b"}\n\n"
    whole = b"".join((b": ping\n\n", b'data: {"choices":[]}\n\n', answer, b"data: [DONE]\n\n")).replace(b"\n", end)
    hider = UsageHider()
    found = b"".join(hider.feed(bytes([byte])) for byte in whole)
    assert found + hider.flush() == whole.replace(answer.replace(b"\n", end), b"")


def test_an_endless_event_passes_and_is_counted() -> None:
    losses.take()
    hider = UsageHider()
    assert hider.feed(b"data: " + b"x" * (1 << 20)) == b"data: " + b"x" * (1 << 20)
    assert hider.feed(b"y\n\n") == b"y\n\n"
    assert losses.take() == {"stream_event_over_1MiB": 1}


def test_only_a_stream_that_can_be_read_is_touched() -> None:
    losses.take()
    assert hider_of("text/event-stream; charset=utf-8", "gzip") is not None
    assert hider_of("application/json", "") is None
    assert hider_of("text/event-stream", "dcz") is None
    assert losses.take() == {"usage_event_not_hidden": 1}
