"""The tap under httpx and httpx2: `Client.send` and `AsyncClient.send`, on the class.

`send` sees each attempt of an SDK, custom transports, and clients that were built before the tap was installed.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from types import AsyncGeneratorType, ModuleType
from typing import Any, Final, NamedTuple

from tollmeter.instrumentation import on_demand
from tollmeter.instrumentation.guard import guarded, losses
from tollmeter.instrumentation.spend import limits_in_force
from tollmeter.instrumentation.tap.asking_httpx import asking, asking_async
from tollmeter.instrumentation.tap.exchange import BATCH, LARGE, Exchange
from tollmeter.instrumentation.tap.forms import form_as_json
from tollmeter.instrumentation.tap.sending import is_tapped, tapped, tapped_async
from tollmeter.instrumentation.tap.watch import begin, begin_fetch, refuse_if_spent
from tollmeter.model.errors import SpendLimitError

_MAX_TARGETS: Final = 1024


class Target(NamedTuple):
    """The parts of a URL that say where a request goes."""

    host: str
    port: int | None
    path: str
    query: bytes


_targets: Final[dict[tuple[Any, ...], Target]] = {}


def hook(module: ModuleType) -> None:
    """Hook either module; a second time changes nothing."""
    if is_tapped(module.Client.send):
        return
    module.Client.send = tapped(module.Client.send, _begin, _following(_stream_type(module)))
    module.AsyncClient.send = tapped_async(module.AsyncClient.send, _begin, _following(_async_stream_type(module)))
    on_demand.asking.add(functools.partial(_ask, module))
    on_demand.refusing.add(functools.partial(_refuse_early, module))


def _ask(module: ModuleType) -> None:
    module.Client.send = asking(module, module.Client.send)
    module.AsyncClient.send = asking_async(module, module.AsyncClient.send)


def _refuse_early(module: ModuleType) -> None:
    for client in (module.Client, module.AsyncClient):
        client.build_request = _refusing(client.build_request)


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
        content = getattr(request, "_content", None)
        refuse_if_spent(request.url, _plain(request.headers), _form_of(request) if content is None else content)


def _following(stream_type: Callable[..., Any]) -> Callable[[Exchange, Any, Any], None]:
    def follow(watch: Exchange, request: Any, response: Any) -> None:
        del request
        try:
            if response.is_stream_consumed or response.is_closed:
                watch.respond(response.status_code, _plain(response.headers), decoded=True)
                watch.feed(response.content)
                watch.complete()
            else:
                watch.respond(response.status_code, _plain(response.headers), decoded=False)
                response.stream = stream_type(response.stream, watch)
        except Exception as error:  # noqa: BLE001  as `guarded`, without its frame
            losses.fault("follow", error)

    return follow


def _begin(request: Any) -> Exchange | None:
    try:
        method = request.method
        if method != "POST":
            return begin_fetch(request.url) if method == "GET" else None
        target = _target(request.url)
        content = getattr(request, "_content", None)
        watch = begin(target, _plain(request.headers), _form_of(request) if content is None else content)
        if watch is not None and (added := watch.outgoing(target.host, request.headers.get)):
            for name, value in added.items():
                request.headers[name] = value
    except SpendLimitError:
        raise
    except Exception as error:  # noqa: BLE001  as `guarded`, without its frame
        losses.fault("_begin", error)
        return None
    return watch


def _target(url: Any) -> Target:
    """Where a request goes; each property of a URL is computed anew when it is asked for, so they are remembered."""
    try:
        parts = url._uri_reference[2:6]  # noqa: SLF001
    except AttributeError:
        return Target(url.host, url.port, url.path, url.query)
    known = _targets.get(parts)
    if known is None:
        if len(_targets) >= _MAX_TARGETS:
            _targets.clear()
        known = _targets[parts] = Target(url.host, url.port, url.path, url.query)
    return known


def _form_of(request: Any) -> bytes | None:
    # A body that is itself a stream has no `_content` yet; the model is then read from the answer.
    if fields := getattr(request.stream, "fields", None):
        return form_as_json((field.name, getattr(field, "value", None)) for field in fields)
    return None


def _plain(headers: Any) -> dict[bytes, bytes]:
    try:  # the lower-case names that both modules keep: making them again costs as much as all else here
        return {name: value for _, name, value in headers._list}  # noqa: SLF001
    except (AttributeError, TypeError, ValueError):
        return {name.lower(): value for name, value in headers.raw}


class _Watched:
    """What both kinds of stream share.

    They iterate below the client's own wrapper, which only hands on and times the end: they do the first in its place
    and ask it for the second, so that a chunk passes no more hands than without us.
    """

    def __init__(self, inner: Any, watch: Exchange) -> None:
        self._inner = inner
        self._watch = watch
        self._is_open = True

    @property
    def elapsed(self) -> Any:
        return getattr(self._inner, "elapsed", None)

    def _leave(self) -> None:
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
            watch, inner = self._watch, self._inner
            keep, kept = watch.keeping()
            try:
                for chunk in inner._stream if type(inner) is bound else inner:  # noqa: SLF001  see `_Watched`
                    keep(chunk)
                    if len(kept) >= BATCH or len(chunk) > LARGE:
                        keep, kept = watch.keeping()
                    yield chunk
            except GeneratorExit:
                raise
            except BaseException as error:
                watch.fail(error)
                raise
            self._is_open = False
            watch.complete()

        def close(self) -> None:
            try:
                self._inner.close()
            finally:
                if self._is_open:
                    self._leave()

    return TappedStream


def _async_stream_type(module: ModuleType) -> type[Any]:
    bound = getattr(module._client, "BoundAsyncStream", None)  # noqa: SLF001

    class TappedAsyncStream(_Watched, module.AsyncByteStream):  # type: ignore[name-defined, misc]  # of whichever it is
        """Hands on every chunk and lets the watch see it."""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            watch, inner = self._watch, self._inner
            keep, kept = watch.keeping()
            stream = (inner._stream if type(inner) is bound else inner).__aiter__()  # noqa: SLF001  see `_Watched`
            try:
                async for chunk in stream:
                    keep(chunk)
                    if len(kept) >= BATCH or len(chunk) > LARGE:
                        keep, kept = watch.keeping()
                    yield chunk
            except GeneratorExit:
                raise
            except BaseException as error:
                watch.fail(error)
                raise
            finally:
                if isinstance(stream, AsyncGeneratorType):
                    await stream.aclose()
            self._is_open = False
            watch.complete()

        async def aclose(self) -> None:
            try:
                await self._inner.aclose()
            finally:
                if self._is_open:
                    self._leave()

    return TappedAsyncStream
