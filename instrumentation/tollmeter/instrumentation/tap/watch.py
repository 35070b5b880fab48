"""A tapped HTTP exchange, whichever client carries it: request, headers and body bytes in, one model call out."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from tollmeter.instrumentation.calls import Call, watching
from tollmeter.instrumentation.context import current_request
from tollmeter.instrumentation.guard import guarded, losses
from tollmeter.instrumentation.propagation import write_traceparent
from tollmeter.instrumentation.spend import may_refuse
from tollmeter.instrumentation.tap.bedrock_wire import STREAM_TYPE
from tollmeter.instrumentation.tap.endpoints import recognise
from tollmeter.instrumentation.tap.scanning import Scanner
from tollmeter.instrumentation.tap.wires import WIRES, Wire, read_request
from tollmeter.model import names
from tollmeter.pricing.shapes.bedrock import merge, usage_of_headers
from tollmeter.pricing.usage import Usage

if TYPE_CHECKING:
    from tollmeter.instrumentation.recorder import Recorder

MAX_JSON: Final = 16 << 20
_BATCH: Final = 16 << 10
_ERROR: Final = 400
_RATE_LIMITS: Final = {
    f"x-ratelimit-{what}-{unit}".encode(): f"ratelimit_{what}_{unit}"
    for what in ("limit", "remaining")
    for unit in ("requests", "tokens")
} | {
    f"anthropic-ratelimit-{unit}-{what}".encode(): f"ratelimit_{what}_{unit}"
    for what in ("limit", "remaining")
    for unit in ("requests", "tokens")
}
_ACCESS_KEY: Final = re.compile(rb"^AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/")
_SECRETS: Final = (b"authorization", b"api-key", b"x-api-key", b"x-goog-api-key")
_REQUEST_IDS: Final = (b"x-request-id", b"apim-request-id", b"request-id", b"x-amzn-requestid")
_FALLBACKS: Final = b"x-litellm-attempted-fallbacks"  # of a LiteLLM proxy, whose answer is of another model then
_SSE: Final = b"text/event-stream"
_default: list[Recorder] = []


Headers = Mapping[bytes, bytes]
"""Lower-case names to values; clients' own header types cost microseconds a look-up."""


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


def use_recorder(recorder: Recorder) -> None:
    """Record calls outside of any request with this one; the first wins."""
    if not _default:
        _default.append(recorder)


def active_recorder() -> Recorder | None:
    """The recorder of the current request, else the process's."""
    context = current_request()
    return context.recorder if context else (_default[0] if _default else None)


class Watch:
    """Sees one exchange pass; each method is safe to call at any time and never raises."""

    __slots__ = (
        "_body",
        "_inflate",
        "_late",
        "_metered",
        "_refused",
        "_request",
        "_scanner",
        "_status",
        "_wire",
        "call",
    )

    def __init__(self, call: Call, wire: Wire, request: bytes | None = None) -> None:
        self.call = call
        self._request = request
        self._wire = wire
        self._status = 0
        self._metered: Usage | None = None
        self._refused = ""
        self._body: bytearray | None = bytearray()
        self._late = bytearray()
        self._scanner: Scanner | None = None
        self._inflate: Any = None

    @guarded(default=None)
    def respond(self, status: int, headers: Headers, *, decoded: bool) -> None:
        """The response's head; `decoded` says that `feed` gets the body with content encoding undone."""
        facts = self.call.facts
        self._status = facts["http_status"] = status
        for header in _RATE_LIMITS.keys() & headers.keys():
            value = headers[header]
            if value.isdigit():
                facts[_RATE_LIMITS[header]] = int(value)
        facts["provider_request_id"] = _first(headers, _REQUEST_IDS)[:256].decode("latin-1")
        if headers.get(_FALLBACKS, b"0") != b"0":
            facts["fallback_from"] = facts.get("fallback_from") or facts.get("request_model", "")
        kind = headers.get(b"content-type", b"")
        if _SSE in kind or STREAM_TYPE in kind:
            self._scanner = self._wire.scanner(self.call)
        if facts["provider"] == names.PROVIDER_BEDROCK:
            self._metered = usage_of_headers({k.decode("latin-1"): v.decode("latin-1") for k, v in headers.items()})
            self._refused = headers.get(b"x-amzn-errortype", b"").decode("latin-1").partition(":")[0][:256]
        if not decoded:
            self._inflate = _inflater(headers.get(b"content-encoding", b""))

    def feed(self, chunk: bytes) -> None:
        """Some bytes of the body.

        After the first token only usage, errors and the end count, none of which is urgent: the bytes are then kept
        and read 16 KiB at a time, which costs a fifth of reading each chunk.
        """
        try:
            if self._scanner is not None and self.call.first_token:
                self._late += chunk
                if len(self._late) >= _BATCH:
                    self._catch_up()
            else:
                self._read_chunk(chunk)
        except Exception as error:  # noqa: BLE001  as `guarded`, without its frame: this runs for every chunk
            losses.fault("feed", error)

    def _read_chunk(self, chunk: bytes) -> None:
        if not self.call.first_byte:
            self.call.saw_byte()
        if self._inflate is not None:
            chunk = self._inflate.decompress(chunk)
        if self._scanner is not None:
            self._scanner.feed(chunk)
        elif self._body is not None and len(self._body) + len(chunk) <= MAX_JSON:
            self._body += chunk
        else:
            self._body = None

    @guarded(default=None)
    def _catch_up(self) -> None:
        late, self._late = bytes(self._late), bytearray()
        if late:
            self._read_chunk(late)

    @guarded(default=None)
    def complete(self) -> None:
        """The body came to its end."""
        self._complete(self._read())

    @guarded(default=None)
    def abandon(self) -> None:
        """Nobody reads on: complete if the provider had said all, else partial with what was seen."""
        if self.call.finished:
            return
        error = self._read()
        if (self._scanner is not None and self._scanner.done) or self._status >= _ERROR:
            self._complete(error)
        else:
            self.call.finish(names.STATUS_PARTIAL)

    def _complete(self, error: str) -> None:
        if self._status >= _ERROR:
            self.call.finish(names.STATUS_ERROR, error or self._refused or str(self._status))
        else:
            self.call.finish(names.STATUS_ERROR if error else names.STATUS_OK, error)

    @guarded(default=None)
    def fail(self, error: BaseException) -> None:
        """The exchange ended in an exception."""
        self._read()
        self.call.fail(error)

    def _read(self) -> str:
        error = self._read_body()
        usage = self.call.usage
        if self._metered and (usage is None or usage.input_tokens is None or usage.output_tokens is None):
            self.call.usage = merge(self._metered, usage)
        if self._wire.estimate is not None and self._status < _ERROR and self.call.recorder.settings.estimate_usage:
            self._wire.estimate(self.call, self._request, self._scanner)
        return error

    def _read_body(self) -> str:
        if self._scanner is not None:
            self._catch_up()
            self._scanner.finish()
            return self._scanner.error
        if self._body is None:
            losses.add("answer_over_16MiB")
            return ""
        self.call.said = bytes(self._body)
        return self._wire.read_answer(self.call, self.call.said) if self._body else ""


@guarded(default=None)
def begin(url: Url, headers: Headers, body: bytes | None) -> Watch | None:
    """Watch a POST that is about to be sent, if it is a model call and no outer tap watches it.

    Raises:
        SpendLimitError: a limit of the application is spent.
    """
    watch = _recognised(url, headers, body)
    if watch is not None:
        watch.call.admit()
    return watch


@guarded(default=None)
def refuse_if_spent(url: Url, headers: Headers, body: bytes | None) -> None:
    """Look at a POST that is being built; only worth calling inside of a limit.

    Raises:
        SpendLimitError: a limit of the application is spent.
    """
    if not may_refuse():
        return
    watch = _recognised(url, headers, body)
    if watch is not None:
        watch.call.admit(hold=False)


def _recognised(url: Url, headers: Headers, body: bytes | None) -> Watch | None:
    if watching.get():
        return None
    recorder = active_recorder()
    if recorder is None:
        return None
    endpoint = recognise(url.host, url.port, url.path, recorder.extra_hosts)
    if endpoint is None:
        return None
    call = Call(recorder, provider=endpoint.provider, operation=endpoint.operation)
    if endpoint.model:
        call.facts |= {"request_model": endpoint.model[:256], "stream": endpoint.stream}
    if endpoint.model.startswith("arn:"):
        call.facts["resource_id"] = endpoint.model[:256]
    _describe(call, headers, read_request(body) if body else None)
    return Watch(call, WIRES[endpoint.wire], body)


def _describe(call: Call, headers: Headers, request: Any) -> None:
    facts = call.facts
    if request is not None:
        if isinstance(request.model, str):
            facts["request_model"] = request.model[:256]
        facts["stream"] = facts.get("stream") or request.stream is True
        for limit in (request.max_completion_tokens, request.max_output_tokens, request.max_tokens):
            if type(limit) is int and limit >= 0:
                facts["max_tokens"] = limit
                break
    if secret := _first(headers, _SECRETS):
        facts["credential_ref"] = credential_ref(secret)
    retries = headers.get(b"x-stainless-retry-count")
    if retries and retries.isdigit():
        facts["attempt"] = int(retries) + 1


def _first(headers: Headers, wanted: tuple[bytes, ...]) -> bytes:
    for name in wanted:
        if value := headers.get(name):
            return value
    return b""


def credential_ref(secret: bytes) -> str:
    """A keyed hash that tells credentials apart and cannot be turned back.

    >>> credential_ref(b"Bearer sk-1") == credential_ref(b"sk-1"), len(credential_ref(b"sk-1"))
    (True, 16)
    """
    signed = _ACCESS_KEY.search(secret)  # a SigV4 signature differs each time, the key id in it does not
    plain = signed[1] if signed else secret.removeprefix(b"Bearer ")
    return _hashed(plain)


@lru_cache(maxsize=128)
def _hashed(plain: bytes) -> str:
    return hashlib.blake2b(plain, key=b"tollmeter.credential_ref", digest_size=8).hexdigest()


def outgoing_traceparent(call: Call, host: str) -> str:
    """The header for a host that the settings allow, else an empty string."""
    allowed = call.recorder.settings.propagate_hosts
    if call.context is None or not (host in allowed or "*" in allowed):
        return ""
    return write_traceparent(call.context.trace_id, call.span_id, call.context.trace_flags)


def _inflater(encoding: bytes) -> Any:
    known = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}
    if encoding in known:
        return zlib.decompressobj(known[encoding])
    if encoding not in (b"", b"identity"):
        losses.add(f"unread_encoding:{encoding[:16].decode('latin-1')}")
    return None
