"""Asking for a stream's usage where the caller did not: which requests may ask, and what they then say.

OpenAI tells the usage of a stream only to requests with `stream_options.include_usage`
(https://platform.openai.com/docs/api-reference/chat/create). With the setting `include_usage` a request that asks is
sent in its place, to hosts known to accept it, and the event that answers is taken out again by `hiding`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from tollmeter.instrumentation.active import active_recorder
from tollmeter.instrumentation.calls import watching
from tollmeter.instrumentation.guard import guarded, losses

IDENTITY: Final = "identity"
"""The encoding an asking request accepts, so that the event to hide is found without decoding."""
REFUSALS: Final = (400, 422)

_PATHS: Final = ("/chat/completions", "/v1/completions")
_HOSTS: Final = ("api.openai.com", "eu.api.openai.com", "us.api.openai.com")
_AZURE: Final = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_AZURE_V1: Final = "/openai/v1/"
_AZURE_VERSION: Final = re.compile(rb"(?:^|&)api-version=(\d{4}-\d{2}-\d{2})")
_AZURE_SINCE: Final = b"2024-09-01"  # 2024-08-01-preview defines the option but not the parameter
_SIGNED: Final = frozenset(
    {b"digest", b"content-digest", b"content-md5", b"signature", b"x-amz-content-sha256", b"content-encoding"}
)
_MAX_REFUSING: Final = 1024
_refusing: set[str] = set()


class Target(NamedTuple):
    """Where a request goes: lower-case host, port where it is not the scheme's own, path, raw query."""

    host: str
    port: int | None
    path: str
    query: bytes


def wants_usage() -> bool:
    """Whether the setting is on, and no outer tap watches the call; asked first, for most calls never ask."""
    recorder = active_recorder()
    return recorder is not None and recorder.settings.include_usage and not watching.get()


@guarded(default=None)
def asking_body(target: Target, headers: Mapping[bytes, bytes], body: object) -> bytes | None:
    """The body that asks in place of the caller's, or None where the request is to go as it is.

    It goes as it is where the host is not known to accept the question or has refused it, the body
    is not plain bytes or is signed, or the caller decided on `include_usage` either way.
    """
    recorder = active_recorder()
    if recorder is None or not isinstance(body, bytes):
        return None
    if not target.path.endswith(_PATHS) or not _accepts(target, recorder.settings.include_usage_hosts):
        return None
    return None if _SIGNED & headers.keys() else with_question(body)


def with_question(body: bytes) -> bytes | None:
    """A streaming request that asks for usage, all else as it was; None where it need not or must not ask.

    >>> with_question(b'{"stream":true,"n":1.50}')
    b'{"stream":true,"n":1.50,"stream_options":{"include_usage":true}}'
    >>> with_question(b'{"stream":true,"stream_options":{"include_usage":false}}') is None
    True
    """
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if bytes(fields.get("stream", b"")) != b"true":
            return None
        options = msgspec.json.decode(fields.get("stream_options", b"null"), type=dict[str, msgspec.Raw] | None) or {}
    except msgspec.MsgspecError:
        return None
    if "include_usage" in options:
        return None
    options["include_usage"] = msgspec.Raw(b"true")
    fields["stream_options"] = msgspec.Raw(msgspec.json.encode(options))
    return msgspec.json.encode(fields)


def is_refusal(status: int, answer: bytes) -> bool:
    """Whether a server refused the question, and not the request."""
    return status in REFUSALS and (b"stream_options" in answer or b"include_usage" in answer)


def remember_refusal(target: Target) -> None:
    """Never ask a host again that has refused once, while the process lives."""
    losses.add("include_usage_refused")
    if len(_refusing) < _MAX_REFUSING:
        _refusing.add(_address(target))


def _accepts(target: Target, named: tuple[str, ...]) -> bool:
    address = _address(target)
    if address in _refusing:
        return False
    if target.host in _HOSTS or target.host in named or address in named:
        return True
    if not target.host.endswith(_AZURE):
        return False
    version = _AZURE_VERSION.search(target.query)
    return target.path.startswith(_AZURE_V1) or (version is not None and version[1] >= _AZURE_SINCE)


def _address(target: Target) -> str:
    return f"{target.host}:{target.port}" if target.port else target.host
