"""A sample LLM service on FastAPI: what an adopter's service looks like, and what `replay`, `demo` and `bench` drive.

Two lines of it are Tollmeter's: the import and `instrument(app, …)`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, cast
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, AsyncStream
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tollmeter.cli.sample import wire
from tollmeter.instrumentation import annotate, instrument, step
from tollmeter.model.names import PROVIDER_OPENAI

DONE: Final = "data: [DONE]\n\n"
"""The last event of a complete streamed answer."""

_PASSAGES: Final = ("Usage is counted per request.", "Prices carry the date from which they hold.")


class ServiceSettings(BaseSettings):
    """Settings of the sample service, read from `SAMPLE_*`."""

    model_config = SettingsConfigDict(env_prefix="SAMPLE_", frozen=True)

    title: str = "Sample assistant"
    service: str = "sample-assistant"
    environment: str = "replay"
    upstream_url: str = "http://127.0.0.1:9000/v1"
    api_key: str = "sk-loopback"
    default_model: str = "gpt-4o-mini"
    max_retries: int = Field(default=2, ge=0, description="Retries of the OpenAI SDK.")
    instrumented: bool = Field(default=True, description="False runs the service bare, for benchmarks.")
    mode: str = "auto"
    home: str = ""
    tags: dict[str, str] = {}


class Message(BaseModel):
    """One turn of a conversation."""

    role: str = Field(default="user", pattern="^(system|user|assistant)$")
    content: str


class ChatRequest(BaseModel):
    """A conversation to be continued."""

    messages: list[Message] = Field(min_length=1)
    model: str | None = Field(default=None, description="Model to ask; the service's default where absent.")
    max_tokens: int | None = Field(default=None, ge=1)


class SummarizeRequest(BaseModel):
    """A text to be shortened."""

    text: str = Field(min_length=1)
    model: str | None = None


class AskRequest(BaseModel):
    """A question about the service's documents."""

    question: str = Field(min_length=1)
    model: str | None = None


class TokenUsage(BaseModel):
    """Tokens as the provider counted them; cached ones are part of the input."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


class Answer(BaseModel):
    """The model's answer."""

    text: str
    model: str
    usage: TokenUsage


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str


class Pong(BaseModel):
    """Sign of life."""

    status: str = "ok"


def _client(request: Request) -> AsyncOpenAI:
    return cast("AsyncOpenAI", request.app.state.client)


def _replay_headers(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.startswith(wire.REPLAY_PREFIX)}


Client = Annotated[AsyncOpenAI, Depends(_client)]
ReplayHeaders = Annotated[dict[str, str], Depends(_replay_headers)]
_problems: dict[int | str, dict[str, Any]] = {
    429: {"model": Problem, "description": "The provider's rate limit is reached."},
    502: {"model": Problem, "description": "The provider failed."},
}
router = APIRouter()


@router.get("/ping", tags=["service"])
async def ping() -> Pong:
    """Sign of life; calls no model."""
    return Pong()


@router.post("/chat", tags=["assistant"], responses=_problems)
async def chat(body: ChatRequest, request: Request, client: Client, headers: ReplayHeaders) -> Answer:
    """Continue a conversation, in one piece."""
    annotate(feature="chat", prompt_name="assistant", prompt_version="v3")
    return await _complete(client, _model(body.model, request), _turns(body.messages), headers)


@router.post("/chat/stream", tags=["assistant"], responses=_problems, response_class=StreamingResponse)
async def chat_stream(body: ChatRequest, request: Request, client: Client, headers: ReplayHeaders) -> StreamingResponse:
    """Continue a conversation as server-sent events; the last one is `[DONE]`."""
    annotate(feature="chat", prompt_name="assistant", prompt_version="v3")
    stream = await client.chat.completions.create(
        model=_model(body.model, request),
        messages=_turns(body.messages),
        stream=True,
        stream_options={"include_usage": True},
        extra_headers=headers,
    )
    return StreamingResponse(_events(stream), media_type="text/event-stream")


@router.post("/summarize", tags=["assistant"], responses=_problems)
async def summarize(body: SummarizeRequest, request: Request, client: Client, headers: ReplayHeaders) -> Answer:
    """Shorten a text."""
    annotate(feature="summarize", prompt_name="summarize", prompt_version="v1")
    turns = [Message(role="system", content="Summarize in three sentences."), Message(content=body.text)]
    return await _complete(client, _model(body.model, request), _turns(turns), headers)


@router.post("/ask", tags=["assistant"], responses=_problems)
async def ask(body: AskRequest, request: Request, client: Client, headers: ReplayHeaders) -> Answer:
    """Answer a question from documents: one embedding, a look-up, one chat call."""
    annotate(feature="ask", prompt_name="grounded", prompt_version="v2")
    with step("retrieve"):
        await client.embeddings.create(model="text-embedding-3-small", input=body.question, extra_headers=headers)
    context = "\n".join(_PASSAGES)
    turns = [Message(role="system", content=context), Message(content=body.question)]
    return await _complete(client, _model(body.model, request), _turns(turns), headers)


async def _complete(
    client: AsyncOpenAI, model: str, messages: list[ChatCompletionMessageParam], headers: dict[str, str]
) -> Answer:
    reply = await client.chat.completions.create(model=model, messages=messages, extra_headers=headers)
    text = reply.choices[0].message.content or ""
    return Answer(text=text, model=reply.model, usage=_usage(reply.usage))


async def _events(stream: AsyncStream[ChatCompletionChunk]) -> AsyncIterator[str]:
    usage = TokenUsage()
    async with stream:
        async for chunk in stream:
            if chunk.usage:
                usage = _usage(chunk.usage)
            if chunk.choices and (text := chunk.choices[0].delta.content):
                yield f"data: {Message(role='assistant', content=text).model_dump_json()}\n\n"
    yield f"event: usage\ndata: {usage.model_dump_json()}\n\n"
    yield DONE


def _model(asked: str | None, request: Request) -> str:
    settings: ServiceSettings = request.app.state.settings
    return asked or settings.default_model


def _turns(messages: list[Message]) -> list[ChatCompletionMessageParam]:
    return [cast("ChatCompletionMessageParam", message.model_dump()) for message in messages]


def _usage(usage: CompletionUsage | None) -> TokenUsage:
    if usage is None:
        return TokenUsage()
    details = usage.prompt_tokens_details
    cached = details.cached_tokens if details else 0
    return TokenUsage(
        input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens, cached_tokens=cached or 0
    )


async def _provider_refused(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, APIStatusError) else 0
    problem = Problem(detail=f"the provider answered {status or 'nothing'}: {error}")
    too_many = 429
    return JSONResponse(problem.model_dump(), status_code=too_many if status == too_many else 502)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: ServiceSettings = app.state.settings
    app.state.client = AsyncOpenAI(
        base_url=settings.upstream_url, api_key=settings.api_key, max_retries=settings.max_retries
    )
    async with app.state.client:
        yield


def create_app(settings: ServiceSettings | None = None) -> FastAPI:
    """The service, instrumented unless the settings say otherwise."""
    settings = settings or ServiceSettings()
    app = FastAPI(
        title=settings.title, version="1.0.0", summary="Chat, summaries and grounded answers.", lifespan=_lifespan
    )
    app.state.settings = settings
    app.add_exception_handler(APIStatusError, _provider_refused)
    app.add_exception_handler(APIConnectionError, _provider_refused)
    app.include_router(router)
    if settings.instrumented:
        instrument(app, **_tollmeter_settings(settings))
    return app


def _tollmeter_settings(settings: ServiceSettings) -> dict[str, Any]:
    return {
        "mode": settings.mode,
        "home": settings.home,
        "service": settings.service,
        "environment": settings.environment,
        "tags": dict(settings.tags),
        "headers": {"tenant_id": wire.TENANT, "user_id": wire.USER, "session_id": wire.SESSION},
        "providers": {urlsplit(settings.upstream_url).netloc: PROVIDER_OPENAI},
    }
