"""Recorded provider traffic through the real tap, cut anywhere: what is recorded is what the answer says."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator
from tapping import recording

from tollmeter.instrumentation import active, instrument
from tollmeter.instrumentation.tap.endpoints import recognise
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode
from tollmeter.pricing import Usage, extract_further, extract_usage

SEED = 20261123
COUNTS = [name for name in Usage.__struct_fields__ if name.endswith("_tokens")]


@pytest.fixture(scope="module")
def recorded(shared: Path) -> list[dict[str, Any]]:
    lines = (shared / "data" / "provider_responses.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["method"] == "POST" and row["response_body"] is not None and _endpoint(row)]


@pytest.fixture
def events() -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    instrument(writer=writer, mode="lean")
    yield writer
    active._default.clear()


def _endpoint(row: dict[str, Any]) -> Any:
    url = httpx2.URL(row["url"])
    found = recognise(url.host, url.port, url.path, frozenset())
    is_held = "/threads/" in row["url"]  # a run is a call only once a poll shows its end
    return found if found and found.provider != "openai_compatible" and not is_held else None


def _body(row: dict[str, Any]) -> bytes:
    text = row["response_body"]
    if row["response_body_encoding"] == "base64":
        return base64.b64decode(text)
    return (text if isinstance(text, str) else json.dumps(text)).encode()


def _pieces(body: bytes, dice: random.Random) -> list[bytes]:
    cuts = sorted(dice.randrange(len(body) + 1) for _ in range(dice.randrange(12)))
    return [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def replay(row: dict[str, Any], dice: random.Random) -> None:
    class Body(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from _pieces(_body(row), dice)

    kept = {name: value for name, value in row["response_headers"].items() if name.lower() != "content-encoding"}
    types = {
        "aws-eventstream": "application/vnd.amazon.eventstream",
        "sse": "text/event-stream",
        "json": "application/json",
        "json-array": "application/json",
    }
    headers = kept | {"content-type": types.get(row["body_kind"], "application/octet-stream")}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(row["status"], headers=headers, stream=Body()))
    with (
        httpx2.Client(transport=transport) as client,
        client.stream("POST", row["url"], json=row["request_body"]) as response,
    ):
        response.read()


@pytest.mark.shared_data
def test_what_is_recorded_is_what_the_answer_says(recorded: list[dict[str, Any]], events: MemoryWriter) -> None:
    dice = random.Random(SEED)
    seen: Counter[tuple[str, str]] = Counter()
    methods: Counter[str] = Counter()
    for row in recorded:
        events.lines.clear()
        replay(row, dice)
        call, *inner = (decode(line) for line in events.lines)
        assert isinstance(call, LlmCall)
        told = {
            "status": row["status"],
            "body": _body(row),
            "stream": row["body_kind"] in ("sse", "json-array", "aws-eventstream"),
        }
        endpoint = httpx2.URL(row["url"]).path
        usage = extract_usage(call.provider, endpoint=endpoint, headers=row["response_headers"], **told)
        expected = usage if usage and usage.source == "reported" else None
        where = (row["id"], row["url"], call)
        if expected or call.usage_source != "estimated":
            assert call.usage_source == ("reported" if expected else "missing"), where
            assert [getattr(call, name) for name in COUNTS] == [getattr(expected, name, None) for name in COUNTS], where
        else:
            assert call.input_tokens, where
            assert call.output_tokens, where
            assert call.cost_status == ("estimated" if call.price_ref else "unpriced"), where
            methods[call.usage_method] += 1
        assert (call.usage_method != "") == (call.usage_source == "estimated"), where
        assert call.server_tool_calls == (expected.server_tool_calls if expected else {}), where
        further = extract_further(call.provider, endpoint=endpoint, **told)
        assert [getattr(event, "request_model", None) for event in inner] == [
            found.model or call.response_model for found in further
        ], where
        assert (call.cost_usd is None) == (call.cost_status in ("unpriced", "inconsistent")), where
        assert call.cost_usd is None or call.cost_usd >= Decimal(0)
        assert call.status == ("error" if row["status"] >= 400 else call.status), where
        seen[call.provider, call.usage_source] += 1
    assert methods == {"pieces": 112}
    assert dict(seen) == {
        ("anthropic", "missing"): 5,
        ("anthropic", "reported"): 87,
        ("aws.bedrock", "missing"): 14,
        ("aws.bedrock", "reported"): 118,
        ("azure.ai.openai", "estimated"): 20,
        ("azure.ai.openai", "missing"): 3,
        ("azure.ai.openai", "reported"): 34,
        ("gcp.gemini", "missing"): 2,
        ("gcp.gemini", "reported"): 21,
        ("gcp.vertex_ai", "missing"): 3,
        ("gcp.vertex_ai", "reported"): 22,
        ("openai", "estimated"): 92,
        ("openai", "missing"): 15,
        ("openai", "reported"): 438,
    }


@pytest.mark.shared_data
def test_content_that_is_recorded_holds_to_the_schema(recorded: list[dict[str, Any]], shared: Path) -> None:
    schemas = shared / "schemas" / "otel" / "semconv-genai-2026-05-11"
    if not schemas.is_dir():
        pytest.skip(f"no schemas at {schemas}")
    validators = {
        f"{side}_content": Draft202012Validator(
            json.loads((schemas / f"gen-ai-{side}-messages.schema.json").read_text())
        )
        for side in ("input", "output")
    }
    dice = random.Random(SEED)
    seen: Counter[tuple[str, bool]] = Counter()
    with recording(capture_content="all") as writer:
        for row in recorded:
            writer.lines.clear()
            replay(row, dice)
            call = decode(writer.lines[0])
            assert isinstance(call, LlmCall)
            assert not [reason for reason in call.losses if reason.startswith(("internal", "content"))]
            for name, validator in validators.items():
                content = getattr(call, name)
                assert len(content.encode()) <= 8192
                validator.validate(json.loads(content or "[]"))
            if row["status"] < 400 and call.operation in ("chat", "text_completion"):
                seen[call.provider, bool(call.output_content)] += 1
    # Silent are an answer of an old model at Bedrock, and those that a content filter took.
    assert {provider: count for (provider, spoke), count in seen.items() if not spoke} == {
        "aws.bedrock": 1,
        "azure.ai.openai": 2,
    }
    assert sum(seen.values()) == 814
