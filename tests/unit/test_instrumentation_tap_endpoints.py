"""Which URL is which call, at which provider, and what the URL alone says of it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, unquote, urlsplit

import httpx2
import pytest
from tapping import call_of, calls_of, recording

from tollmeter.instrumentation import register_provider
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.tap import hosts
from tollmeter.instrumentation.tap.endpoints import Endpoint, recognise
from tollmeter.instrumentation.tap.results import recognise_results
from tollmeter.model.errors import SettingError
from tollmeter.model.settings import Settings

VERTEX = "https://{0}-aiplatform.googleapis.com/v1/projects/p/locations/{0}"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"


def at(url: str, **extra: str) -> Endpoint | None:
    parts = urlsplit(url)
    return recognise(parts.hostname or "", parts.port, unquote(parts.path), frozenset(extra.items()))


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    hosts._registered.clear()
    recognise.cache_clear()
    recognise_results.cache_clear()


@pytest.mark.parametrize(
    ("url", "provider", "operation", "wire"),
    [
        ("https://api.openai.com/v1/responses", "openai", "chat", "openai"),
        ("https://api.openai.com/v1/completions", "openai", "text_completion", "openai"),
        ("https://api.openai.com/v1/images/edits", "openai", "image_generation", "openai"),
        ("https://api.openai.com/v1/audio/transcriptions", "openai", "audio", "openai"),
        ("https://api.openai.com/v1/threads/runs", "openai", "chat", "openai"),
        ("https://api.openai.com/v1/threads/thread_1/runs", "openai", "chat", "openai"),
        ("https://api.anthropic.com/v1/messages", "anthropic", "chat", "anthropic"),
        ("https://api.anthropic.com/v1/chat/completions", "anthropic", "chat", "openai"),
        ("https://r.services.ai.azure.com/anthropic/v1/messages", "azure.ai.inference", "chat", "anthropic"),
        ("https://r.services.ai.azure.com/models/chat/completions", "azure.ai.inference", "chat", "openai"),
        ("https://r.services.ai.azure.com/openai/v1/chat/completions", "azure.ai.openai", "chat", "openai"),
        ("https://r.openai.azure.us/openai/v1/responses", "azure.ai.openai", "chat", "openai"),
        ("https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1/chat/completions", "aws.bedrock", "chat", "openai"),
        ("https://bedrock-mantle.us-east-1.api.aws/v1/responses", "aws.bedrock", "chat", "openai"),
        ("https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages", "aws.bedrock", "chat", "anthropic"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", "gcp.gemini", "chat", "openai"),
        ("https://api.cohere.com/v2/chat", "cohere", "chat", "cohere"),
        ("https://api.cohere.ai/v1/embed", "cohere", "embeddings", "cohere"),
        ("https://api.cohere.com/v2/rerank", "cohere", "rerank", "cohere"),
        ("https://api.cohere.com/compatibility/v1/chat/completions", "cohere", "chat", "openai"),
        ("https://api.groq.com/openai/v1/chat/completions", "groq", "chat", "openai"),
        ("https://api.mistral.ai/v1/agents/completions", "mistral_ai", "chat", "openai"),
        ("https://api.deepseek.com/anthropic/v1/messages", "deepseek", "chat", "anthropic"),
        ("https://api.x.ai/v1/chat/completions", "x_ai", "chat", "openai"),
        ("https://openrouter.ai/api/v1/chat/completions", "openrouter", "chat", "openai"),
        ("https://api.together.xyz/v1/chat/completions", "together", "chat", "openai"),
        ("https://api.fireworks.ai/inference/v1/chat/completions", "fireworks", "chat", "openai"),
        ("https://api.perplexity.ai/chat/completions", "perplexity", "chat", "openai"),
        ("https://api.cerebras.ai/v1/chat/completions", "cerebras", "chat", "openai"),
        ("https://api.moonshot.ai/v1/chat/completions", "moonshot_ai", "chat", "openai"),
        ("https://integrate.api.nvidia.com/v1/chat/completions", "nvidia", "chat", "openai"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions", "dashscope", "chat", "openai"),
        ("https://models.github.ai/inference/chat/completions", "github", "chat", "openai"),
        ("https://router.huggingface.co/v1/chat/completions", "huggingface", "chat", "openai"),
        ("http://localhost:11434/api/chat", "ollama", "chat", "ollama"),
        ("http://localhost:11434/v1/chat/completions", "openai_compatible", "chat", "openai"),
        ("http://vllm:8000/v1/completions", "openai_compatible", "text_completion", "openai"),
        ("http://litellm:4000/v1/messages", "anthropic_compatible", "chat", "anthropic"),
    ],
)
def test_known_hosts_and_paths(url: str, provider: str, operation: str, wire: str) -> None:
    found = at(url)
    assert found is not None
    assert found[:3] == (provider, operation, wire)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1/batches",
        "https://api.openai.com/v1/files",
        "https://api.openai.com/v1/moderations",
        "https://api.openai.com/v1/threads/thread_1/messages",
        "https://api.openai.com/v1/responses/input_tokens",
        "https://api.anthropic.com/v1/messages/batches",
        "https://api.anthropic.com/v1/messages/count_tokens",
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:countTokens",
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:batchGenerateContent",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1:0/count-tokens",
        "https://bedrock.us-east-1.amazonaws.com/model-invocation-job",
        "http://app.internal/api/chat",
        "http://app.internal/responses",
    ],
)
def test_what_is_no_call(url: str) -> None:
    assert at(url) is None


@pytest.mark.parametrize(
    ("url", "model", "resource_id", "region"),
    [
        (
            "https://r.openai.azure.com/openai/deployments/my-gpt/chat/completions",
            "",
            "my-gpt",
            "",
        ),
        ("https://eu.api.openai.com/v1/responses", "", "", "eu"),
        (
            "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse",
            "us.amazon.nova-lite-v1:0",
            "",
            "us-gov-west-1",
        ),
        (
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/m/converse-stream",
            "m",
            "",
            "cn-north-1",
        ),
        (
            "https://vpce-0a1b-xyz.bedrock-runtime.eu-west-1.vpce.amazonaws.com/model/m/invoke",
            "m",
            "",
            "eu-west-1",
        ),
        (
            f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{quote(PROFILE, safe='')}/invoke",
            PROFILE,
            PROFILE,
            "us-east-1",
        ),
        (
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/g:generateContent",
            "g",
            "",
            "global",
        ),
        (
            f"{VERTEX.format('us-east5')}/publishers/anthropic/models/claude@1:streamRawPredict",
            "claude@1",
            "",
            "us-east5",
        ),
        (
            f"{VERTEX.format('europe-west4')}/endpoints/openapi/chat/completions",
            "",
            "",
            "europe-west4",
        ),
    ],
)
def test_what_a_url_tells(url: str, model: str, resource_id: str, region: str) -> None:
    found = at(url)
    assert found is not None
    assert (found.model, found.resource_id, found.region) == (model, resource_id, region)


def test_raw_predictions_of_other_publishers_are_of_openai_format() -> None:
    base = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers"
    mistral, claude = at(f"{base}/mistralai/models/m:rawPredict"), at(f"{base}/anthropic/models/c:rawPredict")
    assert mistral is not None
    assert claude is not None
    assert (mistral.wire, claude.wire) == ("openai", "anthropic")
    predicted = at(f"{base}/google/models/text-embedding-005:predict")
    assert predicted is not None
    assert (predicted.operation, predicted.wire) == ("embeddings", "gemini")


RULES = {
    "gw.example": "openrouter",
    "gw.example:8443": "groq",
    "gw.example/v1/acct/gw/openai": "openai",
    "gw.example/v1/acct/gw/anthropic": "anthropic",
    "*.corp.example": "openai",
    "*.eu.corp.example": "mistral_ai",
    "[::1]:9000": "openai",
}


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://gw.example/v1/chat/completions", "openrouter"),
        ("https://gw.example:8443/v1/chat/completions", "groq"),
        ("https://gw.example/v1/acct/gw/openai/chat/completions", "openai"),
        ("https://gw.example/v1/acct/gw/anthropic/v1/messages", "anthropic"),
        ("https://gw.example/v1/acct/gw/openaire/chat/completions", "openrouter"),
        ("https://llm.corp.example/v1/chat/completions", "openai"),
        ("https://llm.eu.corp.example/v1/chat/completions", "mistral_ai"),
        ("https://corp.example/v1/chat/completions", "openai_compatible"),
        ("http://[::1]:9000/v1/chat/completions", "openai"),
    ],
)
def test_the_most_telling_rule_wins(url: str, provider: str) -> None:
    found = at(url, **RULES)
    assert found is not None
    assert found.provider == provider


def test_a_provider_registered_in_code_is_known_at_once() -> None:
    url = "http://llm.test:81/team/v1/chat/completions"
    assert at(url) == ("openai_compatible", "chat", "openai", "", False, "", "", True)
    assert register_provider("llm.test:81/team", "openai") is True
    found = at(url)
    assert found is not None
    assert found.provider == "openai"
    own = at("http://llm.test:81/other/v1/chat/completions")
    assert own is not None
    assert own.provider == "openai_compatible"


@pytest.mark.parametrize(("host", "provider"), [("", "openai"), ("a b", "openai"), ("h:x", "openai"), ("h", "Open AI")])
def test_a_rule_that_is_none_is_counted_and_never_raises(host: str, provider: str) -> None:
    losses.take()
    assert register_provider(host, provider) is False
    assert losses.take() == {"register_provider_refused": 1}


@pytest.mark.parametrize("value", ["h:x=openai", "a b=openai", "h=Open AI", {"h:x": "openai"}])
def test_the_setting_is_checked(value: object) -> None:
    with pytest.raises(SettingError, match=r"llm\.internal:8000=openai"):
        Settings.load({}, providers=value)
    assert Settings.load({"TOLLMETER_PROVIDERS": "*.a.b:1/p=openai"}).providers == {"*.a.b:1/p": "openai"}


@pytest.mark.parametrize(("headers", "count"), [({}, 0), ({"x-stainless-lang": "python"}, 1)])
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/embeddings", "/v1/messages"])
def test_a_stranger_is_believed_only_where_an_sdk_speaks(path: str, headers: dict[str, str], count: int) -> None:
    answer = httpx2.MockTransport(
        lambda _: httpx2.Response(200, json={"usage": {"input_tokens": 3, "output_tokens": 4}})
    )
    with recording() as events, httpx2.Client(transport=answer) as http:
        http.post(f"http://app.internal{path}", json={"model": "m"}, headers=headers)
        assert [call.output_tokens for call in calls_of(events)] == [4] * count


def test_what_a_gateway_says_of_its_price_is_no_price_of_ours() -> None:
    told = {"x-litellm-response-cost": "0.5", "x-litellm-model-id": "abc", "x-litellm-response-cost-original": "0.4"}
    document = {"model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": 1000, "completion_tokens": 0, "cost": 0.7}}
    answer = httpx2.MockTransport(lambda _: httpx2.Response(200, json=document, headers=told))
    with recording(providers={"litellm:4000": "openai"}) as events, httpx2.Client(transport=answer) as http:
        http.post("http://litellm:4000/v1/chat/completions", json={"model": "gpt-4o"})
        assert str(call_of(events).cost_usd) == "0.002500000000"
