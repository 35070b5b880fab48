"""A tapped HTTP exchange, whichever client carries it: request, headers and body bytes in, one model call out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from tollmeter.instrumentation.active import active_recorder
from tollmeter.instrumentation.calls import Call, watching
from tollmeter.instrumentation.guard import guarded, losses
from tollmeter.instrumentation.spend import may_refuse
from tollmeter.instrumentation.tap import jobs
from tollmeter.instrumentation.tap.bedrock_wire import STREAM_TYPE
from tollmeter.instrumentation.tap.body import Body
from tollmeter.instrumentation.tap.endpoints import recognise
from tollmeter.instrumentation.tap.exchange import AT_ONCE, BATCH, FIRST_ERROR, LARGE, Exchange
from tollmeter.instrumentation.tap.facts import Headers, facts_of_request, take_response
from tollmeter.instrumentation.tap.results import ResultsWatch, may_hold_results, recognise_results
from tollmeter.instrumentation.tap.wires import WIRES, Wire
from tollmeter.model import names
from tollmeter.pricing.shapes.bedrock import merge, usage_of_headers
from tollmeter.pricing.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from tollmeter.instrumentation.propagation.outgoing import Own
    from tollmeter.instrumentation.recorder import Recorder
    from tollmeter.model.events import Status

_STREAMS: Final = (b"text/event-stream", STREAM_TYPE, b"application/x-ndjson", b"application/stream+json")
_SDK_HEADERS: Final = (b"x-stainless-lang", b"anthropic-version")
_NO_HEADERS: Final[Mapping[str, str]] = {}


class Url(Protocol):
    """What is needed of a client's URL type."""

    @property
    def host(self) -> str:
        """Lower-case host."""
        ...

    @property
    def port(self) -> int | None:
        """Port, where it is not the scheme's own."""
        ...

    @property
    def path(self) -> str:
        """Path without query."""
        ...

    @property
    def query(self) -> bytes:
        """What follows the question mark."""
        ...


class Watch(Exchange):
    """An exchange that is one model call."""

    __slots__ = ("_body", "_is_held", "_late", "_metered", "_refused", "_request", "_status", "_wire", "call")

    def __init__(self, call: Call, wire: Wire, request: bytes | None = None) -> None:
        self.call = call
        self._wire = wire
        self._request = request
        self._late: list[bytes] | None = None
        self._is_held = False
        self._status = 0
        self._metered: Usage | None = None
        self._refused = ""
        self._body: Body | None = None

    @property
    def finished(self) -> bool:
        """Whether its end has been seen."""
        return self.call.finished or self._is_held

    # What follows keeps every exception to itself without the frame that `guarded` costs: a call passes it each time.

    def respond(self, status: int, headers: Headers, *, decoded: bool) -> None:
        """The response's head; `decoded` says that `feed` gets the body with content encoding undone."""
        try:
            call = self.call
            facts = call.facts
            self._status = facts["http_status"] = status
            self._body = Body(headers, decoded=decoded)
            if _is_stream(headers.get(b"content-type", b"")):
                facts["stream"] = True
                self._body.scanner = self._wire.scanner(call)
            take_response(facts, headers)
            if facts["provider"] == names.PROVIDER_BEDROCK:
                self._metered = usage_of_headers({k.decode("latin-1"): v.decode("latin-1") for k, v in headers.items()})
                self._refused = headers.get(b"x-amzn-errortype", b"").decode("latin-1").partition(":")[0][:256]
        except Exception as error:  # noqa: BLE001
            losses.fault("respond", error)

    def feed(self, chunk: bytes) -> None:
        """Some bytes of the body.

        After the first token only counts and the end matter, neither of which is urgent: chunks are then kept, and read
        many at a time, which costs a fifth of reading each.
        """
        try:
            late = self._late
            if late is None:
                call = self.call
                if not call.first_byte:
                    call.first_byte = time.perf_counter_ns()
                if self._body is not None:
                    self._body.feed(chunk)
                if call.first_token:
                    self._late = []
            else:
                late.append(chunk)
                if len(late) >= BATCH or len(chunk) > LARGE:
                    self._catch_up()
        except Exception as error:  # noqa: BLE001
            losses.fault("feed", error)

    def keeping(self) -> tuple[Callable[[bytes], None], Sized]:
        """From the first token of a stream on, chunks are kept."""
        late = self._late
        if late is None:
            return self.feed, AT_ONCE if self._body is not None and self._body.scanner is not None else b""
        self._catch_up()
        return late.append, late

    def _catch_up(self) -> None:
        late = self._late
        if late and self._body is not None:
            try:
                chunks = b"".join(late)
                late.clear()
                self._body.feed(chunks)
            except Exception as error:  # noqa: BLE001
                losses.fault("catch_up", error)

    def complete(self) -> None:
        """The body came to its end."""
        try:
            if not (self.call.finished or self._is_held):
                self._complete(self._read())
        except Exception as error:  # noqa: BLE001
            losses.fault("complete", error)

    @guarded(default=None)
    def abandon(self) -> None:
        """Nobody reads on: complete if the provider had said all, else partial with what was seen."""
        if self.call.finished or self._is_held:
            return
        error = self._read()
        scanner = self._body.scanner if self._body is not None else None
        if (scanner is not None and scanner.done) or self._status >= FIRST_ERROR:
            self._complete(error)
        else:
            self._end(names.STATUS_PARTIAL, "")

    def _complete(self, error: str) -> None:
        if self._status >= FIRST_ERROR:
            self.call.finish(names.STATUS_ERROR, error or self._refused or str(self._status))
        elif self.call.job_id:
            self._end(names.STATUS_ERROR if error else names.STATUS_OK, error)
        else:
            self.call.finish(names.STATUS_ERROR if error else names.STATUS_OK, error)

    @guarded(default=None)
    def fail(self, error: BaseException) -> None:
        """The exchange ended in an exception."""
        if not self.finished:
            self._read()
            self._is_held = bool(self.call.job_id) and jobs.take_over(self.call, is_over=False)
            if not self._is_held:
                self.call.fail(error)

    def outgoing(self, host: str, own: Own) -> Mapping[str, str]:
        """The trace and attribution, for a host that the settings allow."""
        call = self.call
        recorder = call.recorder
        if recorder.outgoing.is_silent or not recorder.outgoing.allows(host):
            return _NO_HEADERS
        try:
            attribution = call.context.attribution if call.context else recorder.attributor.defaults
            return recorder.outgoing.headers(recorder.tracing.context_headers(call), attribution, own)
        except Exception as error:  # noqa: BLE001
            losses.fault("outgoing", error)
            return _NO_HEADERS

    def _end(self, status: Status, error: str) -> None:
        self._is_held = bool(self.call.job_id) and jobs.take_over(self.call, is_over=bool(error))
        if not self._is_held:
            self.call.finish(status, error)

    def _read(self) -> str:
        call, body = self.call, self._body
        if body is None:
            return ""
        scanner, error = body.scanner, ""
        if self._late:
            self._catch_up()
        if scanner is not None:
            scanner.finish()
            error = scanner.error
        elif said := body.document():
            call.said = said
            if call.content is not None and call.content.heard is not None:
                call.content.heard.take_body(said)
            error = self._wire.read_answer(call, said)
        usage = call.usage
        if self._metered and (usage is None or usage.input_tokens is None or usage.output_tokens is None):
            call.usage = merge(self._metered, usage)
        if usage is None or scanner is not None:  # a whole answer that tells its usage tells all of it
            estimate = self._wire.estimate
            if estimate is not None and self._status < FIRST_ERROR and call.recorder.settings.estimate_usage:
                estimate(call, self._request, scanner)
        return error


@lru_cache(maxsize=256)
def _is_stream(kind: bytes) -> bool:
    return any(stream in kind for stream in _STREAMS)


def begin(url: Url, headers: Headers, body: bytes | None) -> Exchange | None:
    """Watch a POST that is about to be sent, if it is a model call and no outer tap watches it; to be guarded.

    Raises:
        SpendLimitError: a limit of the application is spent.
    """
    exchange = _recognised(url, headers, body)
    if type(exchange) is Watch and exchange.call.limits:
        exchange.call.admit()
    return exchange


def refuse_if_spent(url: Url, headers: Headers, body: bytes | None) -> None:
    """Look at a POST that is being built; only worth calling inside of a limit; to be guarded.

    Raises:
        SpendLimitError: a limit of the application is spent.
    """
    if not may_refuse():
        return
    exchange = _recognised(url, headers, body)
    if isinstance(exchange, Watch):
        exchange.call.admit(hold=False)


def _recognised(url: Url, headers: Headers, body: bytes | None) -> Exchange | None:
    if watching.get():
        return None
    recorder = active_recorder()
    if recorder is None:
        return None
    endpoint = recognise(url.host, url.port, url.path, recorder.extra_hosts)
    if endpoint is None:
        return _results("POST", url, recorder)
    if not endpoint.certain and not any(name in headers for name in _SDK_HEADERS):
        return None
    call = Call(recorder, facts=facts_of_request(endpoint, headers, url.query, body))
    if recorder.capture is not None:
        call.content = recorder.capture.begin(call, body)
    return Watch(call, WIRES[endpoint.wire], body)


def begin_fetch(url: Url) -> Exchange | None:
    """Watch a GET that is about to be sent, if it fetches results of calls made elsewhere; to be guarded."""
    if not may_hold_results(url.path):
        return None
    recorder = None if watching.get() else active_recorder()
    return None if recorder is None else _results("GET", url, recorder)


def _results(method: str, url: Url, recorder: Recorder) -> Exchange | None:
    found = recognise_results(method, url.host, url.port, url.path, recorder.extra_hosts)
    return ResultsWatch(recorder, found) if found else None
