"""Answers as SDKs hand them out give the usage that their wire gives."""

from __future__ import annotations

import json
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
from openai.types import CompletionUsage, CreateEmbeddingResponse, ImagesResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from tollmeter.pricing import Usage, usage_of

CHAT = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "total_tokens": 1050,
        "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
}
CHAT_USAGE = Usage(
    input_tokens=1000, output_tokens=50, cache_read_tokens=600, reasoning_tokens=20, input_audio_tokens=0
)
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 600,
        "cache_creation_input_tokens": 40,
        "output_tokens": 7,
    },
}
MESSAGE_USAGE = Usage(input_tokens=650, output_tokens=7, cache_read_tokens=600, cache_write_tokens=40)
CONVERSE = {
    "ResponseMetadata": {"RequestId": "r1", "HTTPStatusCode": 200, "HTTPHeaders": {}},
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7, "cacheReadInputTokens": 90},
}


class _Reason(StrEnum):
    STOP = "STOP"


class _Google(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class _Counts(_Google):
    prompt_token_count: int
    candidates_token_count: int
    thoughts_token_count: int
    cached_content_token_count: int | None = None
    total_token_count: int


class _Candidate(_Google):
    finish_reason: _Reason


class Generated(_Google):
    """As google-genai makes it: snake case in Python, camel case on the wire, enums for words."""

    candidates: list[_Candidate]
    model_version: str
    usage_metadata: _Counts


GENERATED = Generated(
    candidates=[_Candidate(finish_reason=_Reason.STOP)],
    model_version="gemini-2.5-flash",
    usage_metadata=_Counts(
        prompt_token_count=8, candidates_token_count=404, thoughts_token_count=1546, total_token_count=1958
    ),
)
GENERATED_USAGE = Usage(input_tokens=8, output_tokens=1950, reasoning_tokens=1546)


class Old:
    """A message of an SDK that knows `to_dict` only."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def to_dict(self) -> dict[str, Any]:
        return self._document


def standing(value: Any) -> Any:
    """The document as an object with attributes only."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: standing(item) for name, item in value.items()})
    return [standing(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("provider", "document", "usage"),
    [("openai", CHAT, CHAT_USAGE), ("anthropic", MESSAGE, MESSAGE_USAGE)],
    ids=["chat", "message"],
)
def test_one_answer_in_every_guise(provider: str, document: dict[str, Any], usage: Usage) -> None:
    text = json.dumps(document)
    for answer in (document, text, text.encode(), bytearray(text.encode()), Old(document), standing(document)):
        assert usage_of(provider, answer) == usage


def test_objects_of_the_openai_sdk() -> None:
    assert usage_of("openai", ChatCompletion.model_validate(CHAT)) == CHAT_USAGE
    vectors = CreateEmbeddingResponse.model_validate(
        {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.1] * 9}],
         "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    )  # fmt: skip
    assert usage_of("openai", vectors) == Usage(input_tokens=8, output_tokens=0)
    usage = {"input_tokens": 5, "output_tokens": 1056, "total_tokens": 1061,
             "input_tokens_details": {"image_tokens": 0, "text_tokens": 5}}  # fmt: skip
    images = ImagesResponse.model_validate({"created": 1, "data": [{"b64_json": "x" * 99}], "usage": usage})
    assert usage_of("openai", images) == Usage(input_tokens=5, output_tokens=1056, input_image_tokens=0)
    search = {"type": "web_search_call", "id": "w", "status": "completed", "action": {"type": "search", "query": "q"}}
    response = Response.construct(
        id="r", object="response", model="gpt-5", status="completed", output=[search],
        usage={"input_tokens": 9, "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 2}},
    )  # fmt: skip
    found = usage_of("openai", response)
    assert found == Usage(input_tokens=9, output_tokens=3, reasoning_tokens=2, server_tool_calls={"web_search": 1})


def test_google_objects_and_their_snake_case_documents() -> None:
    assert usage_of("gcp.gemini", GENERATED) == GENERATED_USAGE
    assert usage_of("gcp.gemini", GENERATED.model_dump()) == GENERATED_USAGE
    assert usage_of("gcp.vertex_ai", GENERATED.model_dump_json(by_alias=True)) == GENERATED_USAGE


def test_dicts_of_boto3() -> None:
    assert usage_of("aws.bedrock", CONVERSE) == Usage(input_tokens=93, output_tokens=4, cache_read_tokens=90)
    headers = {"x-amzn-bedrock-input-token-count": "12", "x-amzn-bedrock-output-token-count": "34"}
    unread = {"ResponseMetadata": {"HTTPHeaders": headers}, "contentType": "application/json", "body": object()}
    assert usage_of("aws.bedrock", unread) == Usage(input_tokens=12, output_tokens=34)
    assert usage_of("aws.bedrock", {"inputTextTokenCount": 5, "results": [{"tokenCount": 6}]}) == Usage(
        input_tokens=5, output_tokens=6
    )
    assert usage_of("aws.bedrock", MESSAGE) == MESSAGE_USAGE
    event = {"chunk": {"bytes": json.dumps({"type": "message_delta", "usage": {"output_tokens": 3}}).encode()}}
    assert usage_of("aws.bedrock", event) == Usage(output_tokens=3)


def test_an_answer_of_ollama() -> None:
    answer = {"model": "llama3.2", "done": True, "prompt_eval_count": 26, "eval_count": 298}
    assert usage_of("ollama", standing(answer)) == Usage(input_tokens=26, output_tokens=298)


def test_litellm_tells_cache_writes_in_details_of_its_own() -> None:
    usage = {
        "prompt_tokens": 650,
        "completion_tokens": 7,
        "prompt_tokens_details": {
            "cached_tokens": 600,
            "cache_creation_tokens": 40,
            "cache_creation_token_details": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 30},
        },
        "cache_creation_input_tokens": 40,
        "cache_read_input_tokens": 600,
    }
    expected = Usage(
        input_tokens=650, output_tokens=7, cache_read_tokens=600, cache_write_tokens=40, cache_write_1h_tokens=30
    )
    assert usage_of("anthropic", {"object": "chat.completion", "choices": [], "usage": usage}) == expected


@pytest.mark.parametrize(
    ("details", "written"),
    [
        ({"cache_read": 600, "cache_creation": 40}, (40, None)),
        (
            {"cache_read": 600, "cache_creation": 0, "ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 30},
            (40, 30),
        ),
        ({"cache_read": 600}, (None, None)),
    ],
)  # fmt: skip
def test_a_langchain_message(details: dict[str, int], written: tuple[int | None, int | None]) -> None:
    message = {
        "type": "ai",
        "content": "hi",
        "response_metadata": {"model_name": "claude-sonnet-4-5"},
        "usage_metadata": {
            "input_tokens": 650,
            "output_tokens": 7,
            "total_tokens": 657,
            "input_token_details": details,
            "output_token_details": {"reasoning": 3},
        },
    }
    found = usage_of("anthropic", message)
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.cache_read_tokens) == (650, 7, 600)
    assert (found.cache_write_tokens, found.cache_write_1h_tokens, found.reasoning_tokens) == (*written, 3)


@pytest.mark.parametrize(
    "said",
    [
        {"token_usage": {"prompt_tokens": 9, "completion_tokens": 2}},
        {"usage": {"input_tokens": 4, "cache_read_input_tokens": 5, "output_tokens": 2}},
        {"usage": {"inputTokens": 9, "outputTokens": 2}},
    ],
)
def test_an_older_langchain_message_keeps_the_providers_own_usage(said: dict[str, Any]) -> None:
    found = usage_of("openai", {"type": "ai", "content": "hi", "response_metadata": said})
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (9, 2)


@pytest.mark.parametrize(
    "answer",
    [None, 7, 0.5, "", "hi", b"\xff\xfe", [], {}, object(), SimpleNamespace(), {"usage": None}, {"usage": [1]}, {1: 2},
     CompletionUsage, SimpleNamespace(usage=SimpleNamespace(prompt_tokens=-4, completion_tokens="many"))],
)  # fmt: skip
@pytest.mark.parametrize("provider", ["openai", "anthropic", "aws.bedrock", "gcp.gemini", "cohere", "", "x"])
def test_what_is_not_understood_is_none_and_never_zero(provider: str, answer: object) -> None:
    assert usage_of(provider, answer) is None


def test_an_object_that_holds_itself_ends() -> None:
    loop = SimpleNamespace(usage=SimpleNamespace(prompt_tokens=3, completion_tokens=1))
    loop.me = loop
    assert usage_of("openai", loop) == Usage(input_tokens=3, output_tokens=1)
