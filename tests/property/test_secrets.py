"""Secrets are in no event, no loss and no log, whichever way they come."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tapping import recording

from tollmeter.instrumentation import annotate, evaluate, instrument, llm_call, step
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.tap import facts
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.ids import new_event_id
from tollmeter.model.names import HEADERS_RECORDED
from tollmeter.model.secrets import scrub

few = settings(max_examples=100, deadline=None)
CREDENTIALS = (
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "x-goog-api-key",
    "x-amz-security-token", "x-forwarded-for", "user-agent", "referer", "openai-organization", "host", "content-type",
)  # fmt: skip
names = st.one_of(st.sampled_from(CREDENTIALS), st.from_regex(r"x-[a-z]{1,12}(-[a-z]{1,8})?", fullmatch=True))
secrets = st.from_regex(r"zq[A-Za-z0-9]{14,30}", fullmatch=True)
"""Without a shape that anybody knows."""

SHAPES = {
    "OpenAI": "sk-proj-a1B2c3D4e5F6g7H8i9J0kLmN",
    "OpenAI, old": "sk-1234567890abcdefghijklmnopqrstuv",
    "Anthropic": "sk-ant-api03-AbCdEf0123456789-AbCdEf0123456789_AA",
    "OpenRouter": "sk-or-v1-0123456789abcdef0123456789abcdef",
    "Groq": "gsk_abcdefghijklmnopqrstuvwxyz012345",
    "xAI": "xai-abcdefghijklmnopqrstuvwxyz012345",
    "Hugging Face": "hf_abcdefghijklmnopqrstuvwxyzABCDEF",
    "Google": "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "AWS key id": "AKIAIOSFODNN7EXAMPLE",
    "AWS temporary id": "ASIAIOSFODNN7EXAMPLE",
    "GitHub": "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "GitHub, fine": "github_pat_11ABCDEFG0123456789_abcdefghijklmnop",
    "GitLab": "glpat-0123456789abcdefghij",
    "Slack": "xoxb-123456789012-abcdefABCDEF",
    "Stripe": "sk_live_0123456789abcdefghij",
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "JWT, cut": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "private key, cut": "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA",
}
SAID = {
    "AWS secret": ("aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "AWS secret, JSON": ('{"SecretAccessKey": "', "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "bearer": ("Authorization: Bearer ", "0a1b2c3d4e5f6a7b8c9d"),
    "basic": ("Authorization: Basic ", "dXNlcjpwYXNzd29yZA=="),
    "URL": ("postgres://app:", "correct-horse"),
    "query": ("https://api.example/v1?key=", "zq0123456789"),
    "password": ("password=", "hunter2hunter2"),
    "api key": ('api_key: "', "zq0123456789"),
}


@contextmanager
def silence(secret: str) -> Iterator[MemoryWriter]:
    """What is written and logged in the block, and lost after it, does not hold a secret."""
    records: list[str] = []
    handler = logging.Handler(level=logging.DEBUG)
    handler.emit = lambda record: records.append(logging.Formatter().format(record))  # type: ignore[method-assign]
    logger = logging.getLogger()
    logger.addHandler(handler)
    try:
        with recording() as writer:
            yield writer
        told = [line.decode() for line in writer.lines] + records + list(losses.take())
    finally:
        logger.removeHandler(handler)
    assert writer.lines
    assert not [text for text in told if secret in text or secret in json.dumps(text)]


def ask(app: Any, *, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers or [], "query_string": b"", "route": None}

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        pass

    asyncio.run(app(scope, receive, send))


@few
@given(names, names, names, secrets)
@example("authorization", "x-api-key", "content-length", "zqNoShapeOfAnything")
@example("cookie", "authorization", "set-cookie", "zqNoShapeOfAnything")
def test_no_header_is_recorded_but_those_of_the_list(incoming: str, outgoing: str, answered: str, secret: str) -> None:
    assume(not {incoming, outgoing, answered} & HEADERS_RECORDED)
    value = f"Bearer {secret}"
    answer = httpx2.Response(200, headers={answered: value}, json={"model": "m", "usage": {"prompt_tokens": 1}})
    url = f"https://api.openai.com/v1/chat/completions?key={secret}"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with httpx2.Client(transport=httpx2.MockTransport(lambda _: answer)) as client:
            client.post(url, json={"model": "m", "messages": [{"content": secret}]}, headers={outgoing: value})
        await send({"type": "http.response.start", "status": 200, "headers": [(answered.encode(), value.encode())]})
        await send({"type": "http.response.body", "body": secret.encode()})

    with silence(secret) as writer:
        served = instrument(app, writer=writer, mode="lean", service="svc", headers={"tenant_id": "x-tenant"})
        ask(served, headers=[(incoming.encode(), value.encode())])
        assert len(writer.lines) == 2


def test_the_list_holds_what_the_tap_reads() -> None:
    told = {*facts._IDS, *facts._TOLD, facts._REGION, *(name for pair in facts._HALVES.values() for name in pair)}
    assert {name.decode() for name in told} <= HEADERS_RECORDED
    assert not {name.decode() for name in facts._SECRETS} & HEADERS_RECORDED


@pytest.mark.parametrize("shape", SHAPES)
def test_a_secret_of_a_known_shape_is_replaced(shape: str) -> None:
    secret = SHAPES[shape]
    assert scrub(f"before {secret}") == "before [secret]"
    assert scrub(f'\\n{secret}"') in ('\\n[secret]"', "\\n[secret]")


@pytest.mark.parametrize("shape", SAID)
def test_a_secret_is_known_by_what_stands_before_it(shape: str) -> None:
    before, secret = SAID[shape]
    rest = "@db/app" if shape == "URL" else '"'
    assert scrub(before + secret + rest) == before + "[secret]" + rest


@pytest.mark.parametrize(
    "text",
    [
        "gpt-4o-2024-08-06", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "/task-sk-assessment/{id}",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0",
        "risk-model-2024-08-06-large",
        "0190b5a0-7c3e-7aaa-bbbb-0123456789ab", "https://example.com:8443/a?page=12345678", "max_tokens=12345678",
        "sklearn-random-forest-classifier", "keyboard-shortcuts-and-passwordless-login",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize("shape", SHAPES)
def test_a_secret_in_any_text_of_the_application(shape: str) -> None:
    secret = SHAPES[shape]
    long = f"{'x ' * 505}{secret}"  # the cut goes through it

    class RefusedError(Exception):
        """The text of an exception is never recorded."""

    def refuse(request: Any) -> Any:
        raise RefusedError(secret)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        annotate(user_id=secret, team=long, session_id=f"a {secret}", tags={secret: secret, "note": f"({secret})"})
        with step(secret), llm_call(provider="openai", model=secret) as call:
            call.record_facts(finish_reason=secret, response_model=secret, resource_id=secret)
            call.record({"model": secret, "usage": {"tokens": secret}})
        evaluate(new_event_id(), secret, 1, evaluator=secret, comment=f"He said {secret}!")
        with httpx2.Client(transport=httpx2.MockTransport(refuse)) as client, pytest.raises(RefusedError):
            client.post("https://api.openai.com/v1/chat/completions", json={"model": secret})
        raise RefusedError(secret)

    with silence(secret[:40]) as writer:
        served = instrument(app, writer=writer, mode="lean", service="svc", tags={"fixed": secret}, team=secret)
        headers = [(b"x-request-id", secret.encode()), (b"content-length", b"5")]
        with pytest.raises(RefusedError):
            ask(served, headers=headers)
        assert len(writer.lines) == 4


def test_a_fault_of_ours_is_logged_without_what_it_says() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"zqNoNumber")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    losses._logged.clear()
    with silence("zqNoNumber") as writer:
        ask(instrument(app, writer=writer, mode="lean", service="svc"))
        assert b"internal:watch response:ValueError" in writer.lines[0]
