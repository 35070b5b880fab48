"""The tap under httpx and httpx2: `Client.send` and `AsyncClient.send`, on the class.

`send` sees each attempt of an SDK, custom transports, and clients that were built before the tap was installed.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from types import AsyncGeneratorType, ModuleType
from typing import Any, Final

from tollmeter.instrumentation.guard import guarded
from tollmeter.instrumentation.spend import limits_in_force
from tollmeter.instrumentation.tap.asking_httpx import asking, asking_async
from tollmeter.instrumentation.tap.exchange import Exchange
from tollmeter.instrumentation.tap.forms import form_as_json
from tollmeter.instrumentation.tap.import_hook import after_import
from tollmeter.instrumentation.tap.sending import is_tapped, tapped, tapped_async
from tollmeter.instrumentation.tap.watch import BATCH, LARGE, begin, begin_fetch, refuse_if_spent

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
    @guarded(default=None)
    def follow(watch: Exchange, request: Any, response: Any) -> None:
        del request
        if response.is_stream_consumed or response.is_closed:
            watch.respond(response.status_code, _plain(response.headers), decoded=True)
            watch.feed(response.content)
            watch.complete()
        else:
            watch.respond(response.status_code, _plain(response.headers), decoded=False)
            response.stream = stream_type(response.stream, watch)

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
    try:  # the lower-case names that both modules keep: making them again costs as much as all else here
        return {name: value for _, name, value in headers._list}  # noqa: SLF001
    except (AttributeError, TypeError, ValueError):
        return {name.lower(): value for name, value in headers.raw}


def _source(stream: Any, bound: type[Any] | None) -> Any:
    """What to iterate in place of a stream: below the client's own wrapper, which only hands on and times the end.

    Ours does the first in its place and asks it for the second, so that a chunk passes no more hands than without us.
    """
    return getattr(stream, "_stream", stream) if type(stream) is bound else stream


class _Watched:
    """What both kinds of stream share."""

    def __init__(self, inner: Any, watch: Exchange) -> None:
        self._inner = inner
        self._watch = watch
        self._is_open = True

    @property
    def elapsed(self) -> Any:
        return getattr(self._inner, "elapsed", None)

    def _complete(self) -> None:
        self._is_open = False
        self._watch.complete()

    def _leave(self) -> None:
        if self._is_open:
            self._is_open = False
            self._watch.abandon()

    def __del__(self) -> None:
        if self._is_open:
            self._watch.abandon()


def _stream_type(module: ModuleType) -> type[Any]:
    bound = getattr(module._client, "BoundSyncStream", None)  # noqa: SLF001

    class TappedStream(_Watched, module.SyncByteStream):  # type: ignore[name-defined, misc]  # of whichever module it is
        """Hands on every chunk and lets the watch see it."""

        def __iter__(self) -> Iterator[bytes]:
            watch = self._watch
            late = None
            try:
                for chunk in _source(self._inner, bound):
                    if late is None:
                        watch.feed(chunk)
                        late = watch.late
                    else:
                        late.append(chunk)
                        if len(late) >= BATCH or len(chunk) > LARGE:
                            watch.catch_up()
                    yield chunk
            except GeneratorExit:
                raise
            except BaseException as error:
                watch.fail(error)
                raise
            self._complete()

        def close(self) -> None:
            try:
                self._inner.close()
            finally:
                self._leave()

    return TappedStream


def _async_stream_type(module: ModuleType) -> type[Any]:
    bound = getattr(module._client, "BoundAsyncStream", None)  # noqa: SLF001

    class TappedAsyncStream(_Watched, module.AsyncByteStream):  # type: ignore[name-defined, misc]  # of whichever it is
        """Hands on every chunk and lets the watch see it."""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            watch = self._watch
            late = None
            stream = _source(self._inner, bound).__aiter__()
            try:
                async for chunk in stream:
                    if late is None:
                        watch.feed(chunk)
                        late = watch.late
                    else:
                        late.append(chunk)
                        if len(late) >= BATCH or len(chunk) > LARGE:
                            watch.catch_up()
                    yield chunk
            except GeneratorExit:
                raise
            except BaseException as error:
                watch.fail(error)
                raise
            finally:
                if isinstance(stream, AsyncGeneratorType):
                    await stream.aclose()
            self._complete()

        async def aclose(self) -> None:
            try:
                await self._inner.aclose()
            finally:
                self._leave()

    return TappedAsyncStream
