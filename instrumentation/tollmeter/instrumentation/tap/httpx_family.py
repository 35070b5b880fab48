"""The tap under httpx and httpx2: `Client.send` and `AsyncClient.send`, on the class.

`send` sees each attempt of an SDK, custom transports, and clients that were built before the tap was installed.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any, Final

from tollmeter.instrumentation.guard import guarded
from tollmeter.instrumentation.spend import limits_in_force
from tollmeter.instrumentation.tap.asking_httpx import asking, asking_async
from tollmeter.instrumentation.tap.exchange import Exchange
from tollmeter.instrumentation.tap.forms import form_as_json
from tollmeter.instrumentation.tap.import_hook import after_import
from tollmeter.instrumentation.tap.sending import is_tapped, tapped, tapped_async
from tollmeter.instrumentation.tap.watch import begin, begin_fetch, refuse_if_spent

MODULES: Final = ("httpx", "httpx2")


def install_httpx_family() -> None:
    """Hook both modules, now or when they are imported."""
    for name in MODULES:
        after_import(name, _patch)


def _patch(module: ModuleType) -> None:
    if is_tapped(module.Client.send):
        return
    for client in (module.Client, module.AsyncClient):
        client.build_request = _refusing(client.build_request)
    send = tapped(module.Client.send, _begin, _following(_stream_type(module)))
    send_async = tapped_async(module.AsyncClient.send, _begin, _following(_async_stream_type(module)))
    module.Client.send = asking(module, send)
    module.AsyncClient.send = asking_async(module, send_async)


def _refusing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse what a limit forbids where the request is built.

    SDKs made by Stainless (openai before 3, anthropic, groq, …) take any exception of `send` for a lost connection:
    they wait, try again, and raise an error of their own at last. What `build_request` raises they let pass.
    """

    @functools.wraps(original)
    def build_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        request = original(self, *args, **kwargs)
        if limits_in_force.get():
            _refuse(request)
        return request

    return build_request


@guarded(default=None)
def _refuse(request: Any) -> None:
    if request.method == "POST":
        refuse_if_spent(request.url, _plain(request.headers), _body_of(request))


def _following(stream_type: Callable[..., Any]) -> Callable[[Exchange, Any, Any], None]:
    def follow(watch: Exchange, request: Any, response: Any) -> None:
        del request
        _follow(watch, response, stream_type)

    return follow


@guarded(default=None)
def _begin(request: Any) -> Exchange | None:
    url = request.url
    if request.method != "POST":
        return begin_fetch(url) if request.method == "GET" else None
    watch = begin(url, _plain(request.headers), _body_of(request))
    if watch is not None:
        for name, value in watch.outgoing(url.host, request.headers.get).items():
            request.headers[name] = value
    return watch


def _body_of(request: Any) -> bytes | None:
    # A body that is itself a stream has no `_content` yet; the model is then read from the answer.
    content: bytes | None = getattr(request, "_content", None)
    if content is None and (fields := getattr(request.stream, "fields", None)):
        return form_as_json((field.name, getattr(field, "value", None)) for field in fields)
    return content


def _plain(headers: Any) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in headers.raw}


@guarded(default=None)
def _follow(watch: Exchange, response: Any, stream_type: Callable[..., Any]) -> None:
    if response.is_stream_consumed or response.is_closed:
        watch.respond(response.status_code, _plain(response.headers), decoded=True)
        watch.feed(response.content)
        watch.complete()
    else:
        watch.respond(response.status_code, _plain(response.headers), decoded=False)
        response.stream = stream_type(response.stream, watch)


def _stream_type(module: ModuleType) -> type[Any]:
    class TappedStream(module.SyncByteStream):  # type: ignore[name-defined, misc]  # of whichever module it is
        """Hands on every chunk and lets the watch see it."""

        def __init__(self, inner: Any, watch: Exchange) -> None:
            self._inner = inner
            self._watch = watch

        @property
        def elapsed(self) -> Any:
            return getattr(self._inner, "elapsed", None)

        def __iter__(self) -> Iterator[bytes]:
            feed = self._watch.feed
            try:
                for chunk in self._inner:
                    feed(chunk)
                    yield chunk
            except GeneratorExit:
                raise
            except BaseException as error:
                self._watch.fail(error)
                raise
            self._watch.complete()

        def close(self) -> None:
            try:
                self._inner.close()
            finally:
                self._watch.abandon()

        def __del__(self) -> None:
            self._watch.abandon()

    return TappedStream


def _async_stream_type(module: ModuleType) -> type[Any]:
    class TappedAsyncStream(module.AsyncByteStream):  # type: ignore[name-defined, misc]  # of whichever module it is
        """Hands on every chunk and lets the watch see it."""

        def __init__(self, inner: Any, watch: Exchange) -> None:
            self._inner = inner
            self._watch = watch

        @property
        def elapsed(self) -> Any:
            return getattr(self._inner, "elapsed", None)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            feed = self._watch.feed
            try:
                async for chunk in self._inner:
                    feed(chunk)
                    yield chunk
            except GeneratorExit:
                raise
            except BaseException as error:
                self._watch.fail(error)
                raise
            self._watch.complete()

        async def aclose(self) -> None:
            try:
                await self._inner.aclose()
            finally:
                self._watch.abandon()

        def __del__(self) -> None:
            self._watch.abandon()

    return TappedAsyncStream
