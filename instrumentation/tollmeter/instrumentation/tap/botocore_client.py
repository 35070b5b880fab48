"""The tap under botocore: `URLLib3Session.send`, on the class, which every boto3 client's attempt passes."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from tollmeter.instrumentation.guard import guarded
from tollmeter.instrumentation.tap.exchange import Exchange
from tollmeter.instrumentation.tap.sending import is_tapped, tapped
from tollmeter.instrumentation.tap.watch import begin

_PATH: Final = "/model/"


class _Url:
    __slots__ = ("host", "path", "port", "query")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port
        self.path = unquote(parts.path)
        self.query = parts.query.encode()


def hook(module: ModuleType) -> None:
    """Hook `botocore.httpsession`; a second time changes nothing."""
    if not is_tapped(module.URLLib3Session.send):
        module.URLLib3Session.send = tapped(module.URLLib3Session.send, _begin, _follow)


@guarded(default=None)
def _begin(request: Any) -> Exchange | None:
    # Cheap for the many calls to other AWS services: only model endpoints have this in their path.
    if request.method != "POST" or _PATH not in request.url:
        return None
    body = request.body.encode() if isinstance(request.body, str) else request.body
    url = _Url(request.url)
    watch = begin(url, _plain(request.headers), bytes(body) if isinstance(body, bytes | bytearray) else None)
    if watch is not None:
        # It is signed already: a signature covers the headers it names, and these are not among them.
        for name, value in watch.outgoing(url.host, request.headers.get).items():
            request.headers[name] = value
    return watch


@guarded(default=None)
def _follow(watch: Exchange, request: Any, response: Any) -> None:
    watch.respond(response.status_code, _plain(response.headers), decoded=False)
    if request.stream_output:
        response.raw = _TappedRaw(response.raw, watch)
    else:
        watch.feed(response.content)
        watch.complete()


def _plain(headers: Any) -> dict[bytes, bytes]:
    return {_bytes(name).lower(): _bytes(value) for name, value in headers.items()}


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("latin-1", "replace")


class _TappedRaw:
    """Stands in for urllib3's response below a streaming body or event stream."""

    def __init__(self, inner: Any, watch: Exchange) -> None:
        self._inner = inner
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __iter__(self) -> Iterator[bytes]:
        return self.stream()

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        """Chunks, as urllib3 gives them."""
        try:
            for chunk in self._inner.stream(*args, **kwargs):
                self._watch.feed(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self._watch.fail(error)
            raise
        self._watch.complete()

    def read(self, amt: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """Some bytes, or all that are left."""
        try:
            chunk = self._inner.read(amt, *args, **kwargs)
        except BaseException as error:
            self._watch.fail(error)
            raise
        self._watch.feed(chunk)
        if amt is None or (amt and not chunk):
            self._watch.complete()
        return chunk

    def close(self) -> None:
        """Close, and settle what was seen."""
        try:
            self._inner.close()
        finally:
            self._watch.abandon()

    def __del__(self) -> None:
        self._watch.abandon()
