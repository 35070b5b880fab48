"""The tap under requests: `Session.send` on the class, and the wire bytes of the urllib3 response below a stream."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tollmeter.instrumentation import on_demand
from tollmeter.instrumentation.guard import guarded, losses
from tollmeter.instrumentation.tap.asking_requests import asking
from tollmeter.instrumentation.tap.exchange import Exchange
from tollmeter.instrumentation.tap.forms import FORM_TYPE, fields_of, form_as_json
from tollmeter.instrumentation.tap.results import may_hold_results
from tollmeter.instrumentation.tap.sending import is_tapped, tapped
from tollmeter.instrumentation.tap.watch import begin, begin_fetch


class _Target(NamedTuple):
    host: str
    port: int | None
    path: str
    query: bytes


def hook(module: ModuleType) -> None:
    """Hook requests; a second time changes nothing."""
    if not is_tapped(module.Session.send):
        module.Session.send = tapped(module.Session.send, _begin, _follow)
        on_demand.asking.add(functools.partial(_ask, module))


def _ask(module: ModuleType) -> None:
    module.Session.send = asking(module.Session.send)


@guarded(default=None)
def _begin(request: Any) -> Exchange | None:
    method, url = getattr(request, "method", ""), request.url
    posts = method == "POST"
    if not isinstance(url, str) or not (posts or (method == "GET" and may_hold_results(url))):
        return None
    parts = urlsplit(url)
    target = _Target(parts.hostname or "", parts.port, parts.path, parts.query.encode())
    if not posts:
        return begin_fetch(target)
    headers = _plain(request.headers)
    watch = begin(target, headers, _body_of(request.body, headers.get(b"content-type", b"")))
    if watch is not None:
        for name, value in watch.outgoing(target.host, request.headers.get).items():
            request.headers[name] = value
    return watch


def _body_of(body: Any, kind: bytes) -> bytes | None:
    # A body that is a file or a generator is not read ahead; the model is then read from the answer.
    content = body.encode() if isinstance(body, str) else body
    if not isinstance(content, bytes):
        return None
    return form_as_json(fields_of(content)) if kind.startswith(FORM_TYPE) else content


def _plain(headers: Any) -> dict[bytes, bytes]:
    return {_bytes(name).lower(): _bytes(value) for name, value in headers.items()}


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "replace") if isinstance(text, str) else text


@guarded(default=None)
def _follow(watch: Exchange, request: Any, response: Any) -> None:
    del request
    headers = _plain(response.headers)
    if response._content_consumed:  # noqa: SLF001  `content` would read a stream that is the caller's
        watch.respond(response.status_code, headers, decoded=True)
        watch.feed(response.content or b"")
        watch.complete()
        return
    watch.respond(response.status_code, headers, decoded=False)
    raw = response.raw
    base: Any = type(raw)
    tapped = _tapped_type(base)
    if tapped is None:
        losses.add("body_of_unknown_adapter")
        watch.abandon()
        return
    # Another class, not wrapped methods: those would form a cycle and keep the connection until a collection.
    raw._tollmeter_watch = watch  # noqa: SLF001
    raw.__class__ = tapped


@functools.lru_cache(maxsize=32)
def _tapped_type(base: type[Any]) -> type[Any] | None:
    from urllib3.response import HTTPResponse

    return (
        type(base.__name__, (_Tapped, base), {"__module__": base.__module__})
        if issubclass(base, HTTPResponse)
        else None
    )


class _Tapped:
    """Over urllib3's response: the three methods that take bytes from the wire, before they are decoded."""

    _tollmeter_watch: Exchange
    _tollmeter_busy = False

    def _fp_read(self: Any, amt: int | None = None, **kwargs: Any) -> Any:
        watch = self._tollmeter_watch
        try:
            data = super()._fp_read(amt, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            watch.fail(error)
            raise
        if data:
            watch.feed(data)
        asked_for_all = amt is None and not kwargs.get("read1")
        _end_of_read(self, watch, data, asked_for_all=asked_for_all, asked_for_none=amt == 0)
        return data

    def _handle_chunk(self: Any, amt: int | None) -> Any:
        watch = self._tollmeter_watch
        try:
            data = super()._handle_chunk(amt)  # type: ignore[misc]
        except BaseException as error:
            watch.fail(error)
            raise
        watch.feed(data)
        return data

    def _update_chunk_length(self: Any) -> None:
        watch = self._tollmeter_watch
        self._tollmeter_busy = True  # it closes before it raises
        try:
            super()._update_chunk_length()  # type: ignore[misc]
        except BaseException as error:
            watch.fail(error)
            raise
        finally:
            self._tollmeter_busy = False
        if self.chunk_left == 0:
            watch.complete()

    def close(self: Any) -> None:
        try:
            super().close()  # type: ignore[misc]
        finally:
            if not self._tollmeter_busy:
                self._tollmeter_watch.abandon()

    def release_conn(self: Any) -> Any:
        # Given back with bytes unread: nobody can read on.
        try:
            return super().release_conn()  # type: ignore[misc]
        finally:
            if self.isclosed():
                self._tollmeter_watch.abandon()

    def __del__(self: Any) -> None:
        self._tollmeter_watch.abandon()
        super().__del__()  # type: ignore[misc]


@guarded(default=None)
def _end_of_read(raw: Any, watch: Exchange, data: bytes, *, asked_for_all: bool, asked_for_none: bool) -> None:
    left = None if raw.length_remaining is None else raw.length_remaining - len(data)
    if not (asked_for_all or left == 0 or raw.isclosed() or (not data and not asked_for_none)):
        return
    if left:
        from urllib3.exceptions import IncompleteRead

        watch.fail(IncompleteRead(len(data), left))
    elif not watch.finished:
        watch.complete()
