"""Asks for usage under httpx and httpx2: a copy of the request is sent, and the answer handed on without the event."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
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
from tollmeter.instrumentation.tap.hiding import UsageHider, hider_of
from tollmeter.instrumentation.tap.sending import Send

Hidden = Callable[[Any, UsageHider], Any]


def asking(module: ModuleType, send: Send) -> Send:
    """Wrap a tapped `Client.send`."""
    hidden = _hidden_stream(module)

    @functools.wraps(send)
    def ask(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        copy = _copy(request) if wants_usage() else None
        if copy is None:
            return send(self, request, *args, **kwargs)
        response = send(self, copy, *args, **kwargs)
        if response.status_code in REFUSALS and is_refusal(response.status_code, response.read()):
            remember_refusal(_target(request.url))
            return send(self, request, *args, **kwargs)
        _hand_on(response, request, copy, hidden)
        return response

    return ask


def asking_async(module: ModuleType, send: Send) -> Send:
    """Wrap a tapped `AsyncClient.send`."""
    hidden = _hidden_async_stream(module)

    @functools.wraps(send)
    async def ask(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        copy = _copy(request) if wants_usage() else None
        if copy is None:
            return await send(self, request, *args, **kwargs)
        response = await send(self, copy, *args, **kwargs)
        if response.status_code in REFUSALS and is_refusal(response.status_code, await response.aread()):
            remember_refusal(_target(request.url))
            return await send(self, request, *args, **kwargs)
        _hand_on(response, request, copy, hidden)
        return response

    return ask


def _target(url: Any) -> Target:
    return Target(url.host, url.port, url.path, url.query)


@guarded(default=None)
def _copy(request: Any) -> Any:
    if request.method != "POST":
        return None
    headers = request.headers.raw
    named = {name.lower(): value for name, value in headers}
    body = asking_body(_target(request.url), named, getattr(request, "_content", None))
    if body is None:
        return None
    kept = [(name, value) for name, value in headers if name.lower() not in (b"content-length", b"accept-encoding")]
    kept.append((b"accept-encoding", IDENTITY.encode()))
    return type(request)(request.method, request.url, headers=kept, content=body, extensions=request.extensions)


@guarded(default=None)
def _hand_on(response: Any, request: Any, copy: Any, hidden: Hidden) -> None:
    if response.request is copy:
        response.request = request
    is_read = response.is_stream_consumed or response.is_closed  # and then it is decoded
    encoding = "" if is_read else response.headers.get("content-encoding", "")
    hider = hider_of(response.headers.get("content-type", ""), encoding)
    if hider is None:
        return
    if is_read:
        response._content = hider.feed(response.content) + hider.flush()  # noqa: SLF001
        return
    for name in ("content-encoding", "content-length"):
        response.headers.pop(name, None)
    response.stream = hidden(response.stream, hider)


def _hidden_stream(module: ModuleType) -> type[Any]:
    class HidingStream(module.SyncByteStream):  # type: ignore[name-defined, misc]  # of whichever module it is
        """Hands on what the hider leaves."""

        def __init__(self, inner: Any, hider: UsageHider) -> None:
            self._inner = inner
            self._hider = hider

        @property
        def elapsed(self) -> Any:
            return getattr(self._inner, "elapsed", None)

        def __iter__(self) -> Iterator[bytes]:
            for chunk in self._inner:
                if found := self._hider.feed(chunk):
                    yield found
            if rest := self._hider.flush():
                yield rest

        def close(self) -> None:
            self._inner.close()

    return HidingStream


def _hidden_async_stream(module: ModuleType) -> type[Any]:
    class HidingAsyncStream(module.AsyncByteStream):  # type: ignore[name-defined, misc]  # of whichever module it is
        """Hands on what the hider leaves."""

        def __init__(self, inner: Any, hider: UsageHider) -> None:
            self._inner = inner
            self._hider = hider

        @property
        def elapsed(self) -> Any:
            return getattr(self._inner, "elapsed", None)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self._inner:
                if found := self._hider.feed(chunk):
                    yield found
            if rest := self._hider.flush():
                yield rest

        async def aclose(self) -> None:
            await self._inner.aclose()

    return HidingAsyncStream
