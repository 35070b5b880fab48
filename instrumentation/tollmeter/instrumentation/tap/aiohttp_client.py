"""The tap under aiohttp: `ClientSession._request` on the class, and the response's buffer as bytes arrive in it.

aiohttp reads from the socket whether or not the caller does, so what has arrived is seen even where it is never read.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, NamedTuple

import msgspec

from tollmeter.instrumentation import on_demand
from tollmeter.instrumentation.calls import watching
from tollmeter.instrumentation.guard import guarded
from tollmeter.instrumentation.tap.asking_aiohttp import asking
from tollmeter.instrumentation.tap.exchange import Exchange
from tollmeter.instrumentation.tap.forms import form_as_json
from tollmeter.instrumentation.tap.results import may_hold_results
from tollmeter.instrumentation.tap.watch import begin, begin_fetch

MODULE: Final = "aiohttp"
_MARK: Final = "_tollmeter_original"


class _Target(NamedTuple):
    host: str
    port: int | None
    path: str
    query: bytes


class _Buffer(deque[bytes]):
    """A reader's buffer that shows what is put into it."""

    def __init__(self, inner: deque[bytes], watch: Exchange) -> None:
        super().__init__(inner)
        self.watch = watch
        for chunk in inner:
            watch.feed(chunk)

    def append(self, chunk: bytes, /) -> None:
        self.watch.feed(chunk)
        super().append(chunk)

    def __del__(self) -> None:
        self.watch.abandon()


def hook(module: ModuleType) -> None:
    """Hook aiohttp; a second time changes nothing."""
    if hasattr(module.ClientSession._request, _MARK):  # noqa: SLF001
        return
    module.ClientSession._request = _tapped_request(module.ClientSession._request)  # noqa: SLF001
    on_demand.asking.add(functools.partial(_ask, module))
    for name in ("close", "release"):
        setattr(module.ClientResponse, name, _tapped_end(getattr(module.ClientResponse, name)))


def _ask(module: ModuleType) -> None:
    module.ClientSession._request = asking(module.ClientSession._request)  # noqa: SLF001


def _tapped_request(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def _request(self: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
        watch = _begin(self, method, str_or_url, kwargs)
        if watch is None:
            return await original(self, method, str_or_url, **kwargs)
        token = watching.set(True)
        try:
            response = await original(self, method, str_or_url, **kwargs)
        except BaseException as error:
            _failed(watch, error)
            raise
        finally:
            watching.reset(token)
        _follow(watch, response, decoded=_is_decoded(self, kwargs))
        return response

    setattr(_request, _MARK, original)
    return _request


def _tapped_end(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def end(self: Any) -> Any:
        _left(self)
        return original(self)

    return end


@guarded(default=None)
def _begin(session: Any, method: str, str_or_url: Any, kwargs: dict[str, Any]) -> Exchange | None:
    posts = method.upper() == "POST"
    if watching.get() or not (posts or (method.upper() == "GET" and may_hold_results(str(str_or_url)))):
        return None
    target = _target(session, str_or_url, kwargs.get("params"))
    if target is None or not posts:
        return begin_fetch(target) if target else None
    headers = session._prepare_headers(kwargs.get("headers"))  # noqa: SLF001  with the session's own
    watch = begin(target, _plain(headers), _body_of(kwargs))
    if watch is not None:
        added = watch.outgoing(target.host, lambda name: ",".join(headers.getall(name, ())) or None)
        if added:
            for name, value in added.items():
                headers[name] = value
            kwargs["headers"] = headers
    return watch


def _target(session: Any, str_or_url: Any, params: Any) -> _Target | None:
    try:
        url = session._build_url(str_or_url)  # noqa: SLF001  it knows the session's base_url
        url = url.update_query(params) if params else url
    except (ValueError, TypeError):
        return None  # aiohttp is about to say so
    return _Target(url.host or "", url.explicit_port, url.path, url.raw_query_string.encode())


def _body_of(kwargs: dict[str, Any]) -> bytes | None:
    document = kwargs.get("json")
    if document is not None:
        try:
            return msgspec.json.encode(document)
        except (TypeError, ValueError, msgspec.MsgspecError):
            return None  # only the session's own serialiser knows it
    data = kwargs.get("data")
    if fields := getattr(data, "_fields", None):  # aiohttp's FormData
        return form_as_json((options.get("name"), value) for options, _, value in fields)
    data = getattr(data, "_value", data)  # aiohttp's BytesPayload and StringPayload
    if isinstance(data, str):
        return data.encode()
    return bytes(data) if isinstance(data, bytes | bytearray | memoryview) else None


def _plain(headers: Any) -> dict[bytes, bytes]:
    return {name.lower().encode(): str(value).encode("utf-8", "surrogateescape") for name, value in headers.items()}


def _is_decoded(session: Any, kwargs: dict[str, Any]) -> bool:
    asked = kwargs.get("auto_decompress")
    return bool(getattr(session, "_auto_decompress", True) if asked is None else asked)


@guarded(default=None)
def _failed(watch: Exchange, error: BaseException) -> None:
    status = getattr(error, "status", None)  # of aiohttp's ClientResponseError, when the session raises for a status
    if isinstance(status, int) and status:
        watch.respond(status, _plain(getattr(error, "headers", None) or {}), decoded=True)
    watch.fail(error)


@guarded(default=None)
def _follow(watch: Exchange, response: Any, *, decoded: bool) -> None:
    headers = {name.lower(): value for name, value in response.raw_headers}
    watch.respond(response.status, headers, decoded=decoded)
    content = response.content
    buffered = getattr(content, "_buffer", None)
    if buffered is not None:
        content._buffer = _Buffer(buffered, watch)  # noqa: SLF001  every way of reading passes it
    content.on_eof(watch.complete)


@guarded(default=None)
def _left(response: Any) -> None:
    content = response.content
    buffered = getattr(content, "_buffer", None)
    if not isinstance(buffered, _Buffer):
        return
    error: Any = content.exception() or sys.exception()
    # Any other exception in flight is the caller's own, who reads no further.
    if isinstance(error, TimeoutError | asyncio.CancelledError | sys.modules[MODULE].ClientError):
        buffered.watch.fail(error)
    else:
        buffered.watch.abandon()
