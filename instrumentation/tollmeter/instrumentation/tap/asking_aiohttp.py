"""Asks for usage under aiohttp: other bytes are sent, and the answer's reader is fed without the event."""

from __future__ import annotations

import functools
from collections import deque
from typing import Any

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
from tollmeter.instrumentation.tap.hiding import hider_of
from tollmeter.instrumentation.tap.sending import Send


def asking(send: Send) -> Send:
    """Wrap a tapped `ClientSession._request`."""

    @functools.wraps(send)
    async def ask(self: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
        asked = _asked(self, method, str_or_url, kwargs) if wants_usage() else None
        if asked is None:
            return await send(self, method, str_or_url, **kwargs)
        response = await send(self, method, str_or_url, **asked)
        if response.status in REFUSALS and is_refusal(response.status, await response.read()):
            remember_refusal(_target(response.url))
            return await send(self, method, str_or_url, **kwargs)
        _hand_on(response)
        return response

    return ask


def _target(url: Any) -> Target:
    return Target(url.host or "", url.explicit_port, url.path, url.raw_query_string.encode())


@guarded(default=None)
def _asked(session: Any, method: str, str_or_url: Any, kwargs: dict[str, Any]) -> dict[str, Any] | None:
    # Where a session raises for a status, the body that tells a refusal is out of reach.
    raises = kwargs.get("raise_for_status") or session._raise_for_status  # noqa: SLF001
    if method.upper() != "POST" or raises or kwargs.get("compress"):
        return None
    headers = session._prepare_headers(kwargs.get("headers"))  # noqa: SLF001  with the session's own
    try:
        url = session._build_url(str_or_url)  # noqa: SLF001  it knows the session's base_url
        url = url.update_query(kwargs["params"]) if kwargs.get("params") else url
    except (ValueError, TypeError):
        return None  # aiohttp is about to say so
    body = asking_body(_target(url), {name.lower().encode(): b"" for name in headers}, _body_of(session, kwargs))
    if body is None:
        return None
    headers.popall("Content-Length", None)
    headers["Accept-Encoding"] = IDENTITY
    if kwargs.get("json") is not None:
        headers.setdefault("Content-Type", "application/json")
    return kwargs | {"data": body, "json": None, "headers": headers}


def _body_of(session: Any, kwargs: dict[str, Any]) -> Any:
    body = kwargs.get("data")
    if kwargs.get("json") is not None:
        body = session._json_serialize(kwargs["json"])  # noqa: SLF001  the caller's own may know more types
    return body.encode() if isinstance(body, str) else body


@guarded(default=None)
def _hand_on(response: Any) -> None:
    content = response.content
    buffer: Any = getattr(content, "_buffer", None)
    encoding = "" if getattr(response, "_auto_decompress", True) else response.headers.get("Content-Encoding", "")
    hider = hider_of(response.content_type, encoding)
    if hider is None or not hasattr(buffer, "watch"):
        return  # an empty answer, or none that the tap sees
    came = b"".join(buffer)
    left = hider.feed(came) + (hider.flush() if content.is_eof() else b"")
    buffer.clear()
    deque.extend(buffer, [left] if left else [])
    content._size += len(left) - len(came)  # noqa: SLF001
    buffer.hider = hider
    # Other classes, not wrapped methods: aiohttp's reader has slots.
    for each, mixin in ((buffer, _HidingBuffer), (content, _HidingReader)):
        kind: Any = type(each)
        each.__class__ = _with(mixin, kind)


@functools.lru_cache(maxsize=32)
def _with(mixin: Any, base: Any) -> Any:
    return type(base.__name__, (mixin, base), {"__module__": base.__module__, "__slots__": ()})


class _HidingBuffer:
    """Over the tap's buffer, whose watch has seen the bytes before the event was taken out."""

    __slots__ = ()

    def append(self: Any, chunk: bytes, /) -> None:
        deque.append(self, chunk)


class _HidingReader:
    """Over aiohttp's StreamReader: shows the tap all that comes, and takes in what the hider leaves."""

    __slots__ = ()

    def feed_data(self: Any, data: bytes, *size: int) -> Any:
        self._buffer.watch.feed(data)
        return super().feed_data(self._buffer.hider.feed(data), *size)  # type: ignore[misc]

    def feed_eof(self: Any) -> None:
        if rest := self._buffer.hider.flush():
            super().feed_data(rest)  # type: ignore[misc]
        super().feed_eof()  # type: ignore[misc]
