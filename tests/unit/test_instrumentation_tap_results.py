"""Batch results and polls: answers that tell of calls made elsewhere, each of them one row however often it is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from tapping import call_of, calls_of, recording

from tollmeter.instrumentation.tap import jobs, reading_results
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.ids import imported_event_id

CREATED = 1_790_000_000
AT = datetime.fromtimestamp(CREATED, UTC)
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 600}}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": CREATED,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": USAGE,
}


def output(number: int, body: Any = None, status: int = 200, error: Any = None) -> dict[str, Any]:
    response = {"status_code": status, "request_id": f"req_{number}", "body": body} if body is not None else None
    return {"id": f"batch_req_{number}", "custom_id": f"c{number}", "response": response, "error": error}


LINES = [
    output(1, COMPLETION),
    output(
        2,
        {
            "object": "list",
            "model": "text-embedding-3-small",
            "data": [],
            "usage": {"prompt_tokens": 7, "total_tokens": 7},
        },
    ),
    output(3, {"error": {"code": "invalid_prompt", "message": "?"}}, status=400),
    output(4, error={"code": "batch_expired", "message": "?"}),
    output(5, {"id": "modr-1", "model": "omni-moderation", "results": []}),
]


def jsonl(lines: list[Any]) -> bytes:
    return b"\n".join(json.dumps(line).encode() for line in lines)


Answers = Callable[[httpx2.Request], httpx2.Response]


@contextmanager
def serving(answers: Answers | bytes | dict[str, Any]) -> Iterator[tuple[httpx2.Client, MemoryWriter]]:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if callable(answers):
            return answers(request)
        if isinstance(answers, bytes):
            return httpx2.Response(200, content=answers, headers={"content-type": "application/octet-stream"})
        return httpx2.Response(200, json=answers)

    with recording() as events, httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        yield http, events


FILE = "https://api.openai.com/v1/files/file-out/content"


def test_each_line_of_a_batch_is_a_call() -> None:
    with serving(jsonl(LINES)) as (http, events):
        assert http.get(FILE).content == jsonl(LINES)
        chat, vector, refused, expired = calls_of(events)
    assert (chat.provider, chat.operation, chat.service_tier, chat.status) == ("openai", "chat", "batch", "ok")
    assert (chat.response_model, chat.finish_reason, chat.http_status) == ("gpt-4o-2024-08-06", "stop", 200)
    assert (chat.input_tokens, chat.output_tokens, chat.cache_read_tokens) == (1000, 50, 600)
    assert (chat.timestamp, chat.latency_ms, chat.ttfb_ms, chat.stream) == (AT, 0.0, None, False)
    assert chat.event_id == imported_event_id("openai/file-out", "batch_req_1")
    assert (chat.provider_request_id, chat.cost_status in ("priced", "estimated")) == ("req_1", True)
    assert (vector.operation, vector.input_tokens, vector.output_tokens) == ("embeddings", 7, 0)
    assert (refused.status, refused.error_type, refused.http_status) == ("error", "invalid_prompt", 400)
    assert (expired.status, expired.error_type, expired.http_status) == ("error", "batch_expired", None)
    assert [refused.cost_usd, expired.cost_usd] == [None, None]


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_batch_streamed_and_cut_anywhere(size: int) -> None:
    whole = jsonl(LINES)

    class Body(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from (whole[at : at + size] for at in range(0, len(whole), size))

    with (
        serving(lambda _: httpx2.Response(200, stream=Body())) as (http, events),
        http.stream("GET", FILE) as response,
    ):
        assert b"".join(response.iter_raw()) == whole
        assert [call.input_tokens for call in calls_of(events)] == [1000, 7, None, None]


def test_fetching_twice_lands_once_here_and_in_the_lake() -> None:
    ids = []
    for _ in range(2):  # two processes: the ids are the same
        with serving(jsonl(LINES)) as (http, events):
            for _ in range(2):  # one process: written once
                http.get(FILE)
            ids.append([call.event_id for call in calls_of(events)])
    assert len(set(ids[0])) == 4
    assert ids[0] == ids[1]


def test_a_batch_left_halfway_has_told_its_first_lines() -> None:
    whole = jsonl(LINES)

    class Body(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield whole[: whole.index(b"\n") + 5]
            yield whole[whole.index(b"\n") + 5 :]

    with serving(lambda _: httpx2.Response(200, stream=Body())) as (http, events):
        with http.stream("GET", FILE) as response:
            next(response.iter_raw())
        assert [call.input_tokens for call in calls_of(events)] == [1000]


@pytest.mark.parametrize(
    "body",
    [
        jsonl([{"custom_id": "c1", "method": "POST", "url": "/v1/chat/completions", "body": {}}, *LINES]),
        jsonl([{"messages": []}]),
        b"%PDF-1.7\n" + bytes(100) + b"\n" + jsonl(LINES),
        b"",
        b"[]",
    ],
)
def test_other_files_are_left_alone(body: bytes) -> None:
    with serving(body) as (http, events):
        assert http.get(FILE).content == body
        assert calls_of(events) == []


def test_a_refused_fetch_tells_of_nothing() -> None:
    with serving(lambda _: httpx2.Response(404, content=jsonl(LINES))) as (http, events):
        http.get(FILE)
        assert calls_of(events) == []


MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "model": "claude-sonnet-4-5-20250929",
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 40, "service_tier": "batch"},
}
CLAUDE = [
    {"custom_id": "a", "result": {"type": "succeeded", "message": MESSAGE}},
    {"custom_id": "b", "result": {"type": "errored", "error": {"type": "error", "error": {"type": "invalid_request"}}}},
    {"custom_id": "c", "result": {"type": "expired"}},
    {"custom_id": "d", "result": {"type": "canceled"}},
]
BATCH = "https://api.anthropic.com/v1/messages/batches/msgbatch_1"


def claude(request: httpx2.Request) -> httpx2.Response:
    if request.url.path.endswith("/results"):
        return httpx2.Response(200, content=jsonl(CLAUDE), headers={"content-type": "application/x-jsonl"})
    return httpx2.Response(200, json={"id": "msgbatch_1", "ended_at": "2026-09-21T14:13:20.5Z"})


def test_results_of_a_message_batch() -> None:
    with serving(claude) as (http, events):
        http.get(BATCH)  # as the SDK does before it fetches the results
        http.get(BATCH + "/results")
        good, *bad = calls_of(events)
    assert (good.provider, good.response_model, good.service_tier) == ("anthropic", MESSAGE["model"], "batch")
    assert (good.input_tokens, good.output_tokens, good.cache_read_tokens) == (100, 40, 90)
    assert good.timestamp == datetime(2026, 9, 21, 14, 13, 20, 500_000, UTC)
    assert (good.event_id, good.provider_request_id) == (imported_event_id("anthropic/msgbatch_1", "a"), "msg_1")
    assert [(call.status, call.error_type, call.usage_source) for call in bad] == [
        ("error", "invalid_request", "missing"),
        ("error", "expired", "missing"),
        ("error", "canceled", "missing"),
    ]
    assert {call.timestamp for call in bad} == {good.timestamp}


def test_without_a_retrieval_the_time_of_the_fetch_stands_in() -> None:
    with serving(claude) as (http, events):
        before = datetime.now(UTC)
        http.get(BATCH + "/results")
        assert before <= calls_of(events)[0].timestamp <= datetime.now(UTC)


GEMINI = {"modelVersion": "gemini-2.5-flash", "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 5}}
INLINE = {
    "name": "batches/b1",
    "done": True,
    "metadata": {"endTime": "2026-09-21T14:13:20Z"},
    "response": {"inlinedResponses": {"inlinedResponses": [{"response": GEMINI}, {"error": {"code": 3}}]}},
}


def test_a_gemini_batch_with_its_answers_inline() -> None:
    with serving(INLINE) as (http, events):
        for _ in range(2):
            http.get("https://generativelanguage.googleapis.com/v1beta/batches/b1")
        good, bad = calls_of(events)
    assert (good.provider, good.service_tier, good.input_tokens, good.output_tokens) == ("gcp.gemini", "batch", 8, 5)
    assert (good.timestamp, bad.status, bad.error_type) == (datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC), "error", "3")


def test_the_file_of_a_gemini_batch() -> None:
    with serving(jsonl([{"key": "k1", "response": GEMINI}, {"key": "k2", "error": {"code": 3}}])) as (http, events):
        http.get("https://generativelanguage.googleapis.com/download/v1beta/files/f1:download?alt=media")
        assert [(call.status, call.output_tokens) for call in calls_of(events)] == [("ok", 5), ("error", None)]


def response(status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "background": True,
        "status": status,
        "model": "gpt-4o-2024-08-06",
        "created_at": CREATED,
        "usage": None,
        "error": None,
    } | more


DONE = response("completed", completed_at=CREATED + 9, usage={"input_tokens": 1000, "output_tokens": 50})
RESPONSES = "https://api.openai.com/v1/responses"
POLL = RESPONSES + "/resp_1"
ASK = {"model": "gpt-4o", "input": "?", "background": True}


def states(*documents: Any) -> Answers:
    left = iter(documents)
    return lambda _: httpx2.Response(200, json=next(left))


def test_a_background_response_is_one_call_at_the_poll_that_shows_its_end() -> None:
    with serving(states(response("queued"), response("in_progress"), DONE, DONE)) as (http, events):
        http.post(RESPONSES, json=ASK)
        http.get(POLL)
        assert calls_of(events) == []
        http.get(POLL)
        http.get(POLL)
        call = call_of(events)
    assert (call.request_model, call.response_model, call.status) == ("gpt-4o", "gpt-4o-2024-08-06", "ok")
    assert (call.input_tokens, call.output_tokens, call.finish_reason) == (1000, 50, "completed")
    assert (call.latency_ms, call.event_id) == (9000.0, imported_event_id("openai", "resp_1"))


def test_a_poll_in_another_process_is_the_same_row() -> None:
    with serving(states(DONE)) as (http, events):
        http.get(POLL)
        call = call_of(events)
    assert (call.event_id, call.timestamp) == (imported_event_id("openai", "resp_1"), AT)
    assert (call.input_tokens, call.latency_ms) == (1000, 9000.0)


@pytest.mark.parametrize(
    ("document", "status", "error_type"),
    [
        (response("failed", error={"code": "server_error"}), "error", "server_error"),
        (response("cancelled"), "partial", ""),
        (response("incomplete", usage={"input_tokens": 3, "output_tokens": 4}), "ok", ""),
    ],
)
def test_other_ends_of_a_background_response(document: dict[str, Any], status: str, error_type: str) -> None:
    with serving(states(response("queued"), document)) as (http, events):
        http.post(RESPONSES, json=ASK)
        http.post(POLL + "/cancel")
        assert (call_of(events).status, call_of(events).error_type) == (status, error_type)


def test_a_background_response_refused_at_once() -> None:
    with serving(lambda _: httpx2.Response(429, json={"error": {"code": "rate_limit_exceeded"}})) as (http, events):
        http.post(RESPONSES, json=ASK)
        assert call_of(events).error_type == "rate_limit_exceeded"


def events_of(*documents: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)


def test_a_background_stream_that_is_left_and_resumed() -> None:
    begun = events_of({"type": "response.created", "response": response("in_progress")})
    rest = events_of(
        {"type": "response.output_text.delta", "delta": "x"}, {"type": "response.completed", "response": DONE}
    )
    headers = {"content-type": "text/event-stream"}

    def answer(request: httpx2.Request) -> httpx2.Response:
        class Body(httpx2.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                yield begun if request.method == "POST" else rest
                yield b"\n"

        return httpx2.Response(200, headers=headers, stream=Body())

    with serving(answer) as (http, events):
        with http.stream("POST", RESPONSES, json=ASK | {"stream": True}) as streamed:
            next(streamed.iter_raw())
        assert calls_of(events) == []
        http.get(POLL + "?stream=true&starting_after=1")
        call = call_of(events)
    assert (call.status, call.output_tokens, call.stream) == ("ok", 50, True)


def test_a_background_stream_read_to_its_end_is_not_counted_again_by_a_poll() -> None:
    whole = events_of(
        {"type": "response.created", "response": response("queued")}, {"type": "response.completed", "response": DONE}
    )

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(200, json=DONE)
        return httpx2.Response(200, content=whole, headers={"content-type": "text/event-stream"})

    with serving(answer) as (http, events):
        http.post(RESPONSES, json=ASK | {"stream": True})
        http.get(POLL)
        assert call_of(events).event_id == imported_event_id("openai", "resp_1")


def test_a_response_that_is_read_again_is_no_call() -> None:
    with serving(DONE | {"background": False}) as (http, events):
        http.get(POLL)
        assert calls_of(events) == []


def test_what_nobody_polls_is_written_without_usage_when_the_process_ends() -> None:
    with serving(states(response("queued"))) as (http, events):
        http.post(RESPONSES, json=ASK)
        jobs.held.release()
        call = call_of(events)
    assert (call.status, call.usage_source, call.cost_usd) == ("partial", "missing", None)


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_HELD", 2)
    with serving(states(*(response("queued") | {"id": f"resp_{number}"} for number in range(3)))) as (http, events):
        for _ in range(3):
            http.post(RESPONSES, json=ASK)
        assert call_of(events).event_id == imported_event_id("openai", "resp_0")
        jobs.held.forget()


def test_a_run_of_an_assistant() -> None:
    run = {"id": "run_1", "object": "thread.run", "model": "gpt-4o", "created_at": CREATED, "usage": None}
    tokens = {"prompt_tokens": 381, "completion_tokens": 88}
    polled = [
        run | {"status": "queued"},
        run | {"status": "requires_action"},
        run | {"status": "queued"},
        run | {"status": "completed", "completed_at": CREATED + 3, "usage": tokens},
    ]
    thread = "https://api.openai.com/v1/threads/thread_1"
    with serving(states(*polled)) as (http, events):
        http.post(thread + "/runs", json={"assistant_id": "asst_1"})
        http.get(thread + "/runs/run_1")
        http.post(thread + "/runs/run_1/submit_tool_outputs", json={"tool_outputs": []})
        assert calls_of(events) == []
        http.get(thread + "/runs/run_1")
        call = call_of(events)
    assert (call.input_tokens, call.output_tokens, call.response_model, call.latency_ms) == (381, 88, "gpt-4o", 3000.0)


def test_times_that_are_noted_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_results, "_MAX_TIMES", 2)

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"id": request.url.path[-1], "ended_at": "2026-01-01T00:00:00Z"})

    with serving(answer) as (http, _):
        for name in "abc":
            http.get(f"https://api.anthropic.com/v1/messages/batches/{name}")
        assert list(reading_results._times) == ["b", "c"]


@pytest.mark.parametrize("told", [None, True, "yesterday", "2026-01-01T00:00:00", 1e300, [], float("inf")])
def test_what_is_no_time(told: Any) -> None:
    assert reading_results.time_of(told) is None
