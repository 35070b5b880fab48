"""Answers that tell of calls made elsewhere: results of batches, and polls of background responses and runs."""

from __future__ import annotations

import re
from contextvars import copy_context
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from tollmeter.instrumentation.guard import guarded, losses
from tollmeter.instrumentation.tap.batch_results import (
    AnthropicBatch,
    BatchTimes,
    GeminiBatch,
    GeminiBatchFile,
    OpenAIBatch,
)
from tollmeter.instrumentation.tap.body import Body
from tollmeter.instrumentation.tap.exchange import FIRST_ERROR, Exchange
from tollmeter.instrumentation.tap.hosts import Rules, site_of
from tollmeter.instrumentation.tap.job_polls import Job
from tollmeter.instrumentation.tap.reading_results import Reader
from tollmeter.model import names

if TYPE_CHECKING:
    from tollmeter.instrumentation.recorder import Recorder
    from tollmeter.instrumentation.tap.facts import Headers


class Results(NamedTuple):
    """Where results are fetched: whose, of which batch, file or job, and who reads them."""

    provider: str
    source: str
    reader: type[Reader]


_MAY_BE: Final = re.compile(r"/(?:responses|runs|files|batches)/")
_GOOGLE: Final = (
    ("GET", re.compile(r"/(batches/[^/:]+)$"), GeminiBatch),
    ("GET", re.compile(r"/(files/[^/:]+):download$"), GeminiBatchFile),
)
_ANTHROPIC: Final = (
    ("GET", re.compile(r"/messages/batches/([^/]+)/results$"), AnthropicBatch),
    ("GET", re.compile(r"/messages/batches/([^/]+)$"), BatchTimes),
)
_OTHERS: Final = (
    ("GET", re.compile(r"/responses/([^/]+)$"), Job),
    ("POST", re.compile(r"/responses/([^/]+)/cancel$"), Job),
    ("GET", re.compile(r"/threads/[^/]+/runs/([^/]+)$"), Job),
    ("POST", re.compile(r"/threads/[^/]+/runs/([^/]+)/(?:submit_tool_outputs|cancel)$"), Job),
    ("GET", re.compile(r"/files/([^/]+)/content$"), OpenAIBatch),
    ("GET", re.compile(r"/batches/([^/]+)$"), BatchTimes),
)
_TABLES: Final = {names.PROVIDER_GEMINI: _GOOGLE, names.PROVIDER_BEDROCK: (), names.PROVIDER_VERTEX: ()}


def may_hold_results(path: str) -> bool:
    """Whether a GET of that path is worth a closer look; nearly all are not."""
    return _MAY_BE.search(path) is not None


@lru_cache(maxsize=1024)
def recognise_results(method: str, host: str, port: int | None, path: str, extra: Rules) -> Results | None:
    """What is fetched, or None where it tells of no calls.

    >>> recognise_results("GET", "api.openai.com", None, "/v1/files/file-1/content", frozenset())[:2]
    ('openai', 'file-1')
    """
    if not may_hold_results(path):
        return None
    site = site_of(host, port, path, extra)
    if site is None:
        return None
    for wanted, pattern, reader in _TABLES.get(site.provider, _ANTHROPIC + _OTHERS):
        if wanted == method and (found := pattern.search(path)):
            return Results(site.provider, found[1][:256], reader)
    return None


class ResultsWatch(Exchange):
    """An exchange that is no call itself, but tells of some."""

    __slots__ = ("_body", "_context", "_done", "_reader")

    def __init__(self, recorder: Recorder, results: Results) -> None:
        self._reader = results.reader(recorder, results.provider, results.source)
        self._body: Body | None = None
        self._done = False
        self._context = copy_context()  # some clients take bytes off the socket in the context of another request

    @property
    def finished(self) -> bool:
        """Whether its end has been seen."""
        return self._done

    @guarded(default=None)
    def respond(self, status: int, headers: Headers, *, decoded: bool) -> None:
        """The response's head; an error tells of no call."""
        self._done = status >= FIRST_ERROR
        scanner = self._reader.scanner(headers.get(b"content-type", b""))
        self._body = Body(headers, decoded=decoded, scanner=scanner)

    def feed(self, chunk: bytes) -> None:
        """Some bytes of the body."""
        if self._done or self._body is None:
            return
        try:
            self._context.run(self._body.feed, chunk)
        except Exception as error:  # noqa: BLE001  as `guarded`, without its frame: this runs for every chunk
            losses.fault("feed", error)

    @guarded(default=None)
    def complete(self) -> None:
        """The body came to its end."""
        if self._done or self._body is None:
            return
        self._done = True
        if self._body.scanner is not None:
            self._context.run(self._body.scanner.finish)
        else:
            self._context.run(self._reader.read, self._body.document())

    @guarded(default=None)
    def abandon(self) -> None:
        """Nobody reads on: the lines that came whole have been written, half a document tells nothing."""
        self._done = True

    def fail(self, error: BaseException) -> None:
        """As when nobody reads on."""
        del error
        self.abandon()
