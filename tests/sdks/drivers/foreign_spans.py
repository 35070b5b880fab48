# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false
"""Makes calls under one set's instrumentations, with our taps or without, and writes the events of each case as JSON.

Run as `foreign_spans.py SET tapped|untapped OUT [RATIO]`. The SDKs are not in the environment that checks types.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, TraceIdRatioBased
from sdks.drivers.cached_answers import serve

from tollmeter.instrumentation import install, instrument
from tollmeter.instrumentation.writer import MemoryWriter

Cases = Iterator[tuple[str, Callable[[], object]]]
ASK = [{"role": "user", "content": "q"}]
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
CLAUDE = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": ASK}
ON_BEDROCK = "anthropic.claude-sonnet-4-5-20250929-v1:0"
PROVIDERS = {serve(): name for name in ("openai", "anthropic", "aws.bedrock", "gcp.gemini")}
URLS = {name: f"http://{address}" for address, name in PROVIDERS.items()}
NOBODY = "127.0.0.1:9"


def _openai_cases() -> Cases:
    import openai

    sync = openai.OpenAI(base_url=URLS["openai"] + "/v1", api_key="k", max_retries=0)
    nowhere = openai.OpenAI(base_url=f"http://{NOBODY}/v1", api_key="k", max_retries=0)

    async def stream() -> None:
        client = openai.AsyncOpenAI(base_url=URLS["openai"] + "/v1", api_key="k", max_retries=0)
        async for _ in await client.chat.completions.create(model="gpt-4o", messages=ASK, **USAGE):
            pass

    yield "chat", lambda: sync.chat.completions.create(model="gpt-4o", messages=ASK)
    yield "chat stream", lambda: list(sync.chat.completions.create(model="gpt-4o", messages=ASK, **USAGE))
    yield "async chat stream", lambda: asyncio.run(stream())
    yield "responses", lambda: sync.responses.create(model="gpt-4o", input="q")
    yield "responses stream", lambda: list(sync.responses.create(model="gpt-4o", input="q", stream=True))
    yield "embeddings", lambda: sync.embeddings.create(model="text-embedding-3-small", input="q")
    yield "refused", lambda: nowhere.chat.completions.create(model="gpt-4o", messages=ASK)


def _anthropic_cases() -> Cases:
    import anthropic

    for name, own in (("", None), (", without the SDK's own spans", False)):
        client = anthropic.Anthropic(base_url=URLS["anthropic"], api_key="k", max_retries=0, open_telemetry=own)
        yield f"messages{name}", lambda c=client: c.messages.create(**CLAUDE)
        yield f"messages stream{name}", lambda c=client: list(c.messages.create(**CLAUDE, stream=True))
        yield f"messages helper{name}", lambda c=client: _helper(c)


def _helper(client: object) -> None:
    with client.messages.stream(**CLAUDE) as stream:
        stream.get_final_message()


def _bedrock_cases() -> Cases:
    import boto3

    client = boto3.client("bedrock-runtime", endpoint_url=URLS["aws.bedrock"])
    say = [{"role": "user", "content": [{"text": "q"}]}]
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": ASK})
    yield "converse", lambda: client.converse(modelId=ON_BEDROCK, messages=say)
    yield "converse stream", lambda: list(client.converse_stream(modelId=ON_BEDROCK, messages=say)["stream"])
    yield "invoke", lambda: _invoke(client, body)


def _invoke(client: object, body: str) -> None:
    client.invoke_model(modelId=ON_BEDROCK, body=body)["body"].read()


def official() -> Cases:
    from google import genai
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor

    for kind in (OpenAIInstrumentor, AnthropicInstrumentor, GoogleGenAiSdkInstrumentor, BotocoreInstrumentor):
        kind().instrument()
    yield from _openai_cases()
    yield from _anthropic_cases()
    yield from _bedrock_cases()
    gemini = genai.Client(api_key="k", http_options={"base_url": URLS["gcp.gemini"]})
    yield "generate content", lambda: gemini.models.generate_content(model="gemini-2.5-flash", contents="q")


def traceloop() -> Cases:
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
    from opentelemetry.instrumentation.bedrock import BedrockInstrumentor
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    for kind in (OpenAIInstrumentor, AnthropicInstrumentor, BedrockInstrumentor):
        kind().instrument()
    yield from _openai_cases()
    yield from _anthropic_cases()
    yield from _bedrock_cases()


def openai_v2() -> Cases:
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    yield from (case for case in _openai_cases() if not case[0].startswith("responses"))


def litellm() -> Cases:
    import litellm as lite

    lite.callbacks = ["otel"]
    lite.suppress_debug_info = True
    chat = {"model": "openai/gpt-4o", "api_base": URLS["openai"] + "/v1", "api_key": "k", "messages": ASK}
    claude = chat | {"model": "anthropic/claude-sonnet-4-5", "api_base": URLS["anthropic"]}
    bedrock = {"model": f"bedrock/{ON_BEDROCK}", "aws_bedrock_runtime_endpoint": URLS["aws.bedrock"], "messages": ASK}

    async def unsync() -> None:
        await lite.acompletion(**chat)
        await asyncio.sleep(0.5)  # its callback runs in a task

    yield "chat", lambda: lite.completion(**chat)
    yield "chat stream", lambda: list(lite.completion(**chat, **USAGE))
    yield "async chat", lambda: asyncio.run(unsync())
    yield "messages", lambda: lite.completion(**claude)
    yield "messages stream", lambda: list(lite.completion(**claude, stream=True))
    yield "converse", lambda: lite.completion(**bedrock)


def pydantic_ai() -> Cases:
    import anthropic
    import openai
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    Agent.instrument_all()

    async def with_tool() -> None:
        client = openai.AsyncOpenAI(base_url=URLS["openai"] + "/v1", api_key="k")
        agent = Agent(OpenAIChatModel("gpt-4o", provider=OpenAIProvider(openai_client=client)))
        agent.tool_plain(lookup)
        await agent.run("q")

    async def on_anthropic() -> None:
        client = anthropic.AsyncAnthropic(base_url=URLS["anthropic"], api_key="k")
        await Agent(AnthropicModel("claude-sonnet-4-5", provider=AnthropicProvider(anthropic_client=client))).run("q")

    yield "agent with a tool", lambda: asyncio.run(with_tool())
    yield "agent", lambda: asyncio.run(on_anthropic())


def lookup() -> str:
    """Look something up."""
    return "x"


def logfire() -> Cases:
    import logfire as fire

    fire.instrument_openai()
    fire.instrument_anthropic()
    yield from _openai_cases()
    yield from _anthropic_cases()


def a_hundred() -> Cases:
    import openai
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    client = openai.OpenAI(base_url=URLS["openai"] + "/v1", api_key="k")
    yield "calls", lambda: [client.chat.completions.create(model="gpt-4o", messages=ASK) for _ in range(100)]


def _set_provider(name: str, ratio: float | None) -> None:
    if name == "logfire":
        import logfire as fire

        fire.configure(send_to_logfire=False, console=False)
    else:
        trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_ON if ratio is None else TraceIdRatioBased(ratio)))


def main(name: str, taps: str, out: Path, ratio: float | None) -> None:
    """Run every case of a set and write what was recorded."""
    _set_provider(name, ratio)
    if taps == "untapped":
        install.install_taps = lambda: None
    writer = MemoryWriter()
    instrument(writer=writer, mode="otel", service="svc", providers=PROVIDERS | {NOBODY: "openai"})
    found = {}
    for case, call in globals()[name]():
        # The provider's refusal is what the case is about; what was recorded tells how it went.
        with suppress(Exception):
            call()
        if name == "litellm":
            time.sleep(0.5)  # its callback runs in a thread
        found[case] = [json.loads(line) for line in writer.lines]
        writer.lines.clear()
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    os.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OTEL_EXPORTER": "in_memory"}
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]) if len(sys.argv) > 4 else None)
    os._exit(0)  # some SDKs leave threads behind
