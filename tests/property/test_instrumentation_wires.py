"""Through the tap's own scanners: whatever the bytes, their encoding and their cut, one call with the same counts."""

from __future__ import annotations

import zlib
from functools import cache
from itertools import pairwise
from typing import Final

import msgspec
import pytest
from eventstreams import converse_event, invoke_event
from hypothesis import given
from hypothesis import strategies as st

from tollmeter.instrumentation.attribution import Attributor
from tollmeter.instrumentation.calls import Call
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.recorder import Recorder
from tollmeter.instrumentation.tap.scanning import TAIL
from tollmeter.instrumentation.tap.watch import Watch
from tollmeter.instrumentation.tap.wires import WIRES
from tollmeter.instrumentation.tracing import LeanTracing
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode
from tollmeter.model.settings import Settings

SSE, FRAMES, JSON = b"text/event-stream", b"application/vnd.amazon.eventstream", b"application/json"
PROVIDERS: Final = {
    "openai": "openai", "anthropic": "anthropic", "gemini": "gcp.gemini", "bedrock": "aws.bedrock"
}  # fmt: skip
wires = st.sampled_from(sorted(WIRES))


def recorded(wire: str, chunks: list[bytes], headers: dict[bytes, bytes], *, end: str = "complete") -> LlmCall:
    settings, writer = Settings.load(service="wires"), MemoryWriter()
    recorder = Recorder(settings, writer, LeanTracing(settings), Attributor(settings))
    watch = Watch(Call(recorder, provider=PROVIDERS.get(wire, wire), operation="chat"), WIRES[wire])
    losses.take()
    watch.respond(200, headers, decoded=False)
    for chunk in chunks:
        watch.feed(chunk)
    getattr(watch, end)()
    event = decode(writer.lines[0])
    assert isinstance(event, LlmCall)
    return event


def sse(*documents: object) -> bytes:
    return b"".join(b"data: " + msgspec.json.encode(document) + b"\n\n" for document in documents)


@cache
def streams() -> dict[str, tuple[str, bytes, bytes]]:
    """Whole streams by name, each long enough to be read in several parts: wire, content type and body."""
    many = 3 * TAIL // 60
    word = {"model": "m", "choices": [{"delta": {"content": "wörd "}, "finish_reason": None}], "usage": None}
    used = {"prompt_tokens": 13, "completion_tokens": 30, "prompt_tokens_details": {"cached_tokens": 4}}
    stop = {"model": "m", "choices": [{"delta": {}, "finish_reason": "stop"}]}
    ended = {"type": "response.completed", "response": {"usage": {"input_tokens": 13, "output_tokens": 30,
             "input_tokens_details": {"cached_tokens": 4}}}}  # fmt: skip
    spoken = {"type": "response.output_text.delta", "delta": "word"}
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 9, "cache_read_input_tokens": 4,
             "output_tokens": 1}}}  # fmt: skip
    block = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "word"}}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 30}}
    part = {"candidates": [{"content": {"parts": [{"text": "word"}]}}]}
    google = {"usageMetadata": {"promptTokenCount": 13, "candidatesTokenCount": 30, "cachedContentTokenCount": 4}}
    metadata = {"metadata": {"usage": {"inputTokens": 9, "cacheReadInputTokens": 4, "outputTokens": 30}}}
    return {
        "openai chat": ("openai", SSE, sse(*[word] * many, stop, {"choices": [], "usage": used}) + b"data: [DONE]\n\n"),
        "openai early usage": ("openai", SSE, sse(word, word | {"usage": used}, *[word] * many, stop)),
        "openai responses": ("openai", SSE, sse(*[spoken] * many, ended)),
        "anthropic": ("anthropic", SSE, sse(start, *[block] * many, delta, {"type": "message_stop"})),
        "gemini": ("gemini", SSE, sse(*[part] * many, part | google).replace(b"\n", b"\r\n")),
        "gemini array": ("gemini", JSON, msgspec.json.encode([*[part] * many, part | google])),
        "bedrock invoke": ("bedrock", FRAMES, b"".join(map(invoke_event, (start, *[block] * 90, delta)))),
        "bedrock converse": ("bedrock", FRAMES, b"".join([
            *[converse_event({"contentBlockDelta": {"delta": {"text": "word"}}})] * 90, converse_event(metadata)
        ])),
    }  # fmt: skip


@given(
    st.sampled_from(sorted(streams())),
    st.sampled_from(["", "gzip", "deflate"]),
    st.lists(st.floats(0, 1), max_size=12),
    st.booleans(),
)
def test_cut_and_encoding_change_nothing(name: str, encoding: str, cuts: list[float], byte_by_byte: bool) -> None:
    wire, kind, body = streams()[name]
    if encoding:
        packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
        body = packer.compress(body) + packer.flush()
    size = len(body)
    edges = {0, size, *(int(cut * size) for cut in cuts)}
    if byte_by_byte:  # at both ends, where heads and last words stand
        edges |= {*range(min(200, size)), *range(max(0, size - 200), size)}
    chunks = [body[first:last] for first, last in pairwise(sorted(edges))]
    event = recorded(wire, chunks, {b"content-type": kind, b"content-encoding": encoding.encode()})
    assert (event.input_tokens, event.output_tokens, event.cache_read_tokens) == (13, 30, 4)
    assert (event.status, event.usage_source, event.losses) == ("ok", "reported", {})


@pytest.mark.parametrize("name", ["openai chat", "anthropic"])
def test_a_stream_that_said_its_last_word_may_be_left(name: str) -> None:
    wire, kind, body = streams()[name]
    event = recorded(wire, [body], {b"content-type": kind}, end="abandon")
    assert (event.status, event.finish_reason) == ("ok", {"openai chat": "stop", "anthropic": "end_turn"}[name])


header_names = st.sampled_from([
    b"content-type", b"content-encoding", b"x-request-id", b"x-amzn-requestid", b"x-ratelimit-limit-tokens",
    b"x-ratelimit-remaining-requests", b"anthropic-ratelimit-limit-tokens", b"x-amzn-bedrock-input-token-count",
    b"x-amzn-bedrock-output-token-count", b"x-amzn-errortype",
])  # fmt: skip
header_values = st.binary(max_size=30) | st.sampled_from(
    [SSE, FRAMES, JSON, b"gzip", b"deflate", b"br", b"9" * 25, b"-1", b"\xb2"]
)


@given(
    wires,
    st.lists(
        st.binary(max_size=80) | st.sampled_from([b"data: ", b"{", b'{"usage":', b"[", b"\n\n", b"null"]), max_size=6
    ),
    st.dictionaries(header_names, header_values, max_size=5),
    st.sampled_from(["complete", "abandon"]),
)
def test_arbitrary_bytes_and_headers_are_one_valid_row(
    wire: str, chunks: list[bytes], headers: dict[bytes, bytes], end: str
) -> None:
    event = recorded(wire, chunks, headers, end=end)
    assert event.provider == PROVIDERS.get(wire, wire)
    assert event.cost_usd is None or event.cost_usd >= 0
    unexpected = {reason for reason in losses.take() | event.losses if reason.startswith("internal:")}
    assert unexpected <= {"internal:feed:error", "internal:_catch_up:error"}  # zlib's, on what is not compressed


@given(wires, st.binary(max_size=200))
def test_an_answer_of_any_bytes_is_read_without_a_fault(wire: str, body: bytes) -> None:
    event = recorded(wire, [body], {b"content-type": JSON})
    assert event.losses == {}
    assert event.usage_source in ("missing", "reported")
