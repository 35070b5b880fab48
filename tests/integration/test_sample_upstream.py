"""The loopback upstream as the real OpenAI SDK sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tollmeter.cli.sample import server, wire

T = TypeVar("T")
ROW = {wire.INPUT_TOKENS: "4808", wire.OUTPUT_TOKENS: "61", wire.CACHED_TOKENS: "4096"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with server.running(server.UPSTREAM) as upstream:
        yield f"{upstream.url}/v1"


def ask(url: str, work: Callable[[openai.AsyncOpenAI], Awaitable[T]], retries: int = 0) -> T:
    async def run() -> T:
        async with openai.AsyncOpenAI(base_url=url, api_key="sk-test", max_retries=retries) as client:
            return await work(client)

    return asyncio.run(run())


def create(headers: dict[str, str]) -> Callable[[openai.AsyncOpenAI], Awaitable[ChatCompletion]]:
    async def work(client: openai.AsyncOpenAI) -> ChatCompletion:
        return await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], extra_headers=headers
        )

    return work


def test_a_plain_answer_has_the_rows_tokens(url: str) -> None:
    reply = ask(url, create(ROW))
    assert reply.model == "gpt-4o-mini-2024-07-18"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (4808, 61, 4869)
    assert reply.usage.prompt_tokens_details is not None
    assert reply.usage.prompt_tokens_details.cached_tokens == 4096
    assert reply.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_ends_with_usage_only_where_it_was_asked_for(url: str, include_usage: bool) -> None:
    async def work(client: openai.AsyncOpenAI) -> list[ChatCompletionChunk]:
        stream = await client.chat.completions.create(
            model="gpt-5-mini",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            stream_options={"include_usage": include_usage},
            extra_headers=ROW,
        )
        async with stream:
            return [chunk async for chunk in stream]

    chunks = ask(url, work)
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert [(u.prompt_tokens, u.completion_tokens) for u in usages] == ([(4808, 61)] if include_usage else [])
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.split() == ["token"] * 20
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"


def test_embeddings_count_input_alone(url: str) -> None:
    async def work(client: openai.AsyncOpenAI) -> openai.types.CreateEmbeddingResponse:
        return await client.embeddings.create(model="text-embedding-3-small", input="hi", extra_headers=ROW)

    assert ask(url, work).usage.prompt_tokens == 4808


@pytest.mark.parametrize(("status", "error"), [(429, openai.RateLimitError), (500, openai.InternalServerError)])
def test_failures_are_the_sdks_own_errors(url: str, status: int, error: type[openai.APIStatusError]) -> None:
    with pytest.raises(error) as caught:
        ask(url, create(ROW | {wire.FAIL_STATUS: str(status)}), retries=1)
    assert caught.value.status_code == status
    assert caught.value.request_id is not None
    assert caught.value.request_id.startswith("req_loopback")
    assert caught.value.response.headers["x-ratelimit-limit-requests"] == "10000"


def test_a_failure_of_one_attempt_passes_with_the_retry(url: str) -> None:
    reply = ask(url, create(ROW | {wire.FAIL_STATUS: "429", wire.FAIL_ATTEMPTS: "1"}), retries=1)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 4808


def test_a_header_that_is_no_number_is_a_bad_request(url: str) -> None:
    with pytest.raises(openai.BadRequestError, match="many"):
        ask(url, create({wire.INPUT_TOKENS: "many"}))
