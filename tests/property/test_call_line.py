"""The line that is put together of parts says what the event would have said, field by field."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tollmeter.instrumentation.attribution import Attributor
from tollmeter.instrumentation.call_line import write_ordinary
from tollmeter.instrumentation.calls import Call
from tollmeter.instrumentation.context import RequestContext
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.recorder import Recorder
from tollmeter.instrumentation.tracing import LeanTracing
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import MAX_COUNT, decode, encode, utc_now
from tollmeter.model.settings import Settings
from tollmeter.pricing import Usage

texts = st.text(max_size=40) | st.sampled_from(["gpt-4o", "sk-a1B2c3D4e5F6g7H8i9J0", "\ud800", "", 'a"b\\'])
counts = st.none() | st.integers(0, 1000) | st.sampled_from([0, MAX_COUNT])
facts = st.fixed_dictionaries(
    {"provider": st.sampled_from(["openai", "anthropic", "nobody"]), "operation": st.just("chat")},
    optional={
        **dict.fromkeys(("response_model", "service_tier", "finish_reason", "provider_request_id"), texts),
        **dict.fromkeys(("http_status", "max_tokens", "attempt"), counts),
        "request_model": st.sampled_from(["gpt-4o", "claude-sonnet-4-5", "unknown"]),
        "stream": st.booleans(),
    },
)
usages = st.builds(
    Usage,
    **dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens"), counts),
    server_tool_calls=st.dictionaries(st.sampled_from(["web_search", "other"]), st.integers(0, 3)),
)
requests = st.none() | st.fixed_dictionaries({
    "attribution": st.dictionaries(st.sampled_from(["user_id", "tenant_id", "team"]), texts),
    "tags": st.dictionaries(st.sampled_from(["plan", "region"]), st.sampled_from(["a", "b"])),
})  # fmt: skip


@given(
    facts=facts, usage=usages, request=requests, status=st.sampled_from(["ok", "error", "partial"]),
    error=texts, times=st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(10, 99)), parent=st.booleans(),
    settings=st.sampled_from([{}, {"tags": {"plan": "c"}, "team": "t"}]),
)  # fmt: skip
def test_an_ordinary_line_is_the_line_of_the_event(
    *, facts: dict[str, Any], usage: Usage, request: dict[str, Any] | None, status: Any, error: str,
    times: tuple[int, int, int], parent: bool, settings: dict[str, Any],
) -> None:  # fmt: skip
    loaded, writer = Settings.load(service="lines", **settings), MemoryWriter()
    recorder = Recorder(loaded, writer, LeanTracing(loaded), Attributor(loaded))
    losses.take()
    call = Call(recorder, facts=facts)
    call.usage, call.parent = usage, ("a" * 32, "b" * 16 if parent else "")
    call.first_byte, call.first_token = (call.started + each if each else 0 for each in times[:2])
    call.ended = call.started + times[2]
    if request is not None:
        call.context = RequestContext(recorder, {}, utc_now())
        call.context.attribution, call.context.tags = request["attribution"], request["tags"]
        call.context.request_id = "r1"
    event = call.event(status, error, call.ended)
    if write_ordinary(call, status, error):
        (line,) = writer.lines
        assert msgspec.json.decode(line) == msgspec.json.decode(encode(event))
        assert decode(line) == event
    else:
        assert not writer.lines


def test_a_plain_call_is_ordinary() -> None:
    settings, writer = Settings.load(service="lines"), MemoryWriter()
    recorder = Recorder(settings, writer, LeanTracing(settings), Attributor(settings))
    losses.take()
    call = Call(recorder, facts={"provider": "openai", "operation": "chat", "request_model": "gpt-4o"})
    call.usage = Usage(input_tokens=10, output_tokens=2)
    assert write_ordinary(call, "ok", "")
