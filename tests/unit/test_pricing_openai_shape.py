"""OpenAI-shaped answers to inclusive usage: quirks by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing import Usage, extract_usage
from tollmeter.pricing.shapes import openai


def _extract(body: bytes, *, status: int = 200, stream: bool = False) -> Usage | None:
    return extract_usage("openai", endpoint="/chat/completions", status=status, headers={}, body=body, stream=stream)


def _sse(*documents: Any, end: str = "\n\n") -> bytes:
    return "".join(f"data: {json.dumps(document)}{end}" for document in documents).encode() + b"data: [DONE]\n\n"


CHAT = {
    "prompt_tokens": 1000,
    "completion_tokens": 300,
    "total_tokens": 1300,
    "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 50, "cache_write_tokens": 30},
    "completion_tokens_details": {"reasoning_tokens": 200, "audio_tokens": 10},
}


def test_chat_counts_are_inclusive_and_parts_are_kept() -> None:
    assert _extract(json.dumps({"usage": CHAT}).encode()) == Usage(
        input_tokens=1000,
        output_tokens=300,
        cache_read_tokens=600,
        cache_write_tokens=30,
        reasoning_tokens=200,
        input_audio_tokens=50,
        output_audio_tokens=10,
    )


def test_responses_count_web_searches_but_not_opened_pages() -> None:
    output = [
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "file_search_call"},
        {"type": "message"},
    ]
    body = {
        "output": output,
        "usage": {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 1},
    }
    usage = _extract(json.dumps(body).encode())
    assert usage is not None
    assert usage.server_tool_calls == {"web_search": 1, "file_search": 1}
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (5, 2, 1)


def test_the_final_usage_chunk_counts_even_with_choices() -> None:
    usage = {"prompt_tokens": 16111, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 15872}}
    body = _sse({"choices": [{"delta": {"content": "a"}}], "usage": None}, {"choices": [{"delta": {}}], "usage": usage})
    found = _extract(body, stream=True)
    assert found is not None
    assert (found.input_tokens, found.cache_read_tokens) == (16111, 15872)


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r"])
def test_the_newest_usage_wins_and_is_never_summed(end: str) -> None:
    first, last = {"prompt_tokens": 9, "completion_tokens": 1}, {"prompt_tokens": 9, "completion_tokens": 7}
    usage = _extract(_sse({"usage": first}, {"usage": last}, end=end), stream=True)
    assert usage is not None
    assert usage.output_tokens == 7


def test_a_stream_cut_inside_its_last_event_keeps_the_usage_before() -> None:
    body = _sse({"usage": {"prompt_tokens": 9, "completion_tokens": 1}}) + b'data: {"usage": {"prompt_to'
    usage = _extract(body, stream=True)
    assert usage is not None
    assert usage.input_tokens == 9


def test_explicit_zero_is_not_missing() -> None:
    usage = _extract(b'{"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}')
    assert usage == Usage(input_tokens=0, output_tokens=0)


def test_embeddings_have_no_output() -> None:
    assert _extract(b'{"usage": {"prompt_tokens": 8, "total_tokens": 8}}') == Usage(input_tokens=8, output_tokens=0)


def test_reasoning_outside_the_completion_count_is_added() -> None:
    raw = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35}
    usage = openai.usage_of({"usage": raw | {"completion_tokens_details": {"reasoning_tokens": 20}}})
    assert usage is not None
    assert (usage.output_tokens, usage.reasoning_tokens) == (25, 20)


@pytest.mark.parametrize(
    "raw",
    [
        {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 4},
        {"prompt_tokens": 10, "completion_tokens": 1, "cached_tokens": 4},
        {"prompt_tokens": 10, "completion_tokens": 1, "prompt_token_details": {"cached_tokens": 4}},
    ],
)
def test_other_names_of_cached_tokens(raw: dict[str, Any]) -> None:
    usage = openai.usage_of({"usage": raw})
    assert usage is not None
    assert usage.cache_read_tokens == 4


def test_usage_in_x_groq_and_in_choices() -> None:
    raw = {"prompt_tokens": 3, "completion_tokens": 2}
    for document in ({"x_groq": {"usage": raw}}, {"choices": [{"usage": raw}]}, {"response": {"usage": raw}}):
        assert openai.usage_of(document) == Usage(input_tokens=3, output_tokens=2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"usage": {}}',
        b'{"usage": {"prompt_tokens": "7"}}',
        b'{"usage": {"prompt_tokens": -1, "completion_tokens": true}}',
        b'{"usage": {"type": "duration", "seconds": 3}}',
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_understood_is_missing_and_never_raises(body: bytes, *, stream: bool) -> None:
    assert _extract(body, stream=stream) == Usage(source=USAGE_MISSING)


def test_errors_say_nothing_even_inside_200() -> None:
    assert _extract(b'{"error": {"code": "content_filter"}}') is None
    assert _extract(b'{"usage": {"prompt_tokens": 1}}', status=500) is None
