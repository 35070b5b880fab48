"""Asks for usage under requests: a copy of the prepared request is sent, and the answer handed on without the event.

Bytes read from `response.raw` itself, below requests, still hold the event.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from tollmeter.instrumentation.guard import guarded
from tollmeter.instrumentation.tap.asking import (
    IDENTITY,
    REFUSALS,
    Target,
    asking_body,
    is_refusal,
    remember_refusal,
    wants_usage,
)
from tollmeter.instrumentation.tap.hiding import UsageHider, hider_of
from tollmeter.instrumentation.tap.sending import Send


def asking(send: Send) -> Send:
    """Wrap a tapped `Session.send`."""

    @functools.wraps(send)
    def ask(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        copy = _copy(request) if wants_usage() else None
        if copy is None:
            return send(self, request, *args, **kwargs)
        response = send(self, copy, *args, **kwargs)
        if response.status_code in REFUSALS and is_refusal(response.status_code, response.content):
            remember_refusal(_target(request.url))
            return send(self, request, *args, **kwargs)
        _hand_on(response, request, copy)
        return response

    return ask


def _target(url: str) -> Target:
    parts = urlsplit(url)
    return Target(parts.hostname or "", parts.port, parts.path, parts.query.encode())


@guarded(default=None)
def _copy(request: Any) -> Any:
    if getattr(request, "method", "") != "POST" or not isinstance(request.url, str):
        return None
    names = {(name if isinstance(name, bytes) else name.encode()).lower(): b"" for name in request.headers}
    body = request.body.encode() if isinstance(request.body, str) else request.body
    body = asking_body(_target(request.url), names, body)
    if body is None:
        return None
    copy = request.copy()
    copy.body = body
    copy.headers["Content-Length"] = str(len(body))
    copy.headers["Accept-Encoding"] = IDENTITY
    return copy


@guarded(default=None)
def _hand_on(response: Any, request: Any, copy: Any) -> None:
    if response.request is copy:
        response.request = request
    hider = hider_of(response.headers.get("content-type", ""), "")
    if hider is None:
        return
    if response._content_consumed:  # noqa: SLF001  `content` would read a stream that is the caller's
        response._content = hider.feed(response.content) + hider.flush()  # noqa: SLF001  it has been read and decoded
        return
    response.headers.pop("content-length", None)
    raw = response.raw
    raw._tollmeter_hider = hider  # noqa: SLF001
    kind: Any = type(raw)
    raw.__class__ = _hiding_type(kind)


@functools.lru_cache(maxsize=32)
def _hiding_type(base: Any) -> Any:
    return type(base.__name__, (_Hiding, base), {"__module__": base.__module__})


class _Hiding:
    """Over urllib3's response: the method requests reads a body with, after it was decoded."""

    _tollmeter_hider: UsageHider

    def stream(self: Any, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        hider = self._tollmeter_hider
        for chunk in super().stream(*args, **kwargs):  # type: ignore[misc]
            if found := hider.feed(chunk):
                yield found
        if rest := hider.flush():
            yield rest
