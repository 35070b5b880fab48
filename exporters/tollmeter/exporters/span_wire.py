"""Spans over OTLP/HTTP: OpenTelemetry's exporter does the wire work, this tells what the receiver made of them.

The exporter answers no more than yes or no, and takes a redirect or a web page for a yes; so the session under it
remembers each answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

if TYPE_CHECKING:
    from requests.auth import AuthBase

    from tollmeter.exporters.derive.spans import Span

Verdict = Literal["taken", "refused", "failed", "unclear"]

TIMEOUT_S: Final = 10.0
"""For one post, all attempts of the exporter included."""
MAX_WAIT_S: Final = 300.0
"""How long a receiver may ask to be left alone."""

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SCOPE: Final = InstrumentationScope("tollmeter", version("tollmeter"))
_MAX_REASON: Final = 200
_OK: Final = range(200, 300)
_WIRE_HEADERS: Final = frozenset({"content-type", "Content-Encoding", "user-agent"})
"""As the exporter spells them."""
_REFUSALS: Final = frozenset({400, 413, 422})
_KINDS: Final = {
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a post.

    `taken`, but for as many spans as `rejected` says; `refused`, for what the spans are; `failed`, so that it may be
    tried again, in `wait_s` seconds at the soonest; `unclear` where what came was no answer of an OTLP receiver.
    """

    verdict: Verdict
    rejected: int = 0
    wait_s: float = 0.0
    reason: str = ""


class _Session(requests.Session):
    """Remembers the answer to the last attempt; sends no headers but those of `allowed`, unless it is None."""

    answer = Answer("failed", reason="nothing was sent")
    allowed: frozenset[str] | None = None

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        if self.allowed is not None:
            kwargs["headers"] = {name: kwargs["headers"][name] for name in self.allowed & kwargs["headers"].keys()}
        try:
            response = super().request(*args, **kwargs)
        except Exception as error:
            # The text of an InvalidHeader shows the header, which may be a key.
            text = "" if isinstance(error, requests.exceptions.InvalidHeader) else f": {error}"
            self.answer = Answer("failed", reason=type(error).__name__ + text[:_MAX_REASON])
            raise
        self.answer = read_answer(response.status_code, response.headers, response.content)
        return response


class SpanPost:
    """Posts spans to one address; packed with gzip, tried again for ten seconds where that may help.

    Args:
        endpoint: the full address; None means what `OTEL_EXPORTER_OTLP_*` say, then localhost.
        headers: sent with each request.
        auth: signs each attempt.
        ambient: whether the headers of `OTEL_EXPORTER_OTLP_*` are sent too; their keys may be another receiver's.
    """

    def __init__(
        self, endpoint: str | None, headers: Mapping[str, str], auth: AuthBase | None = None, *, ambient: bool = True
    ) -> None:
        # Each failed attempt would be a warning of its own; the forwarder tells of a sink that fails, once.
        logging.getLogger("opentelemetry.exporter.otlp.proto.http").setLevel(logging.CRITICAL)
        self.address = endpoint or "where OTEL_EXPORTER_OTLP_* say"
        self._session = _Session()
        self._session.auth = auth
        if not ambient:
            self._session.allowed = _WIRE_HEADERS | {name.lower() for name in headers}
        self._exporter = OTLPSpanExporter(
            endpoint, headers=dict(headers), timeout=TIMEOUT_S, compression=Compression.Gzip, session=self._session
        )

    def post(self, spans: Sequence[Span]) -> Answer:
        """Send some spans in one request."""
        self._session.answer = _Session.answer
        self._exporter.export([_readable(span) for span in spans])
        return self._session.answer

    def close(self) -> None:
        """Let go of the connections; posting opens them anew."""
        self._session.close()


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """What an HTTP answer says of the spans (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response).

    >>> read_answer(503, {"Retry-After": "7"}, b"").wait_s
    7.0
    """
    if status in _OK:
        return _partial_success(headers.get("Content-Type", ""), body)
    reason = f"HTTP {status}"
    if status in _REFUSALS:
        return Answer("refused", reason=reason)
    return Answer("failed", wait_s=_wait_s(headers.get("Retry-After", "")), reason=reason)


def _partial_success(content_type: str, body: bytes) -> Answer:
    if not body:
        return Answer("taken")
    try:
        if "json" in content_type:
            told = msgspec.json.decode(body, type=_JsonResponse).partialSuccess or _JsonPartial()
            return Answer("taken", max(0, int(told.rejectedSpans)), reason=told.errorMessage[:_MAX_REASON])
        if "protobuf" in content_type:
            partial = ExportTraceServiceResponse.FromString(body).partial_success
            return Answer("taken", max(0, partial.rejected_spans), reason=partial.error_message[:_MAX_REASON])
    except (DecodeError, msgspec.MsgspecError, ValueError):
        pass
    return Answer("unclear", reason=f"a body of {content_type or 'no type'} is no answer of an OTLP receiver")


class _JsonPartial(msgspec.Struct):
    rejectedSpans: int | str = 0  # noqa: N815  a name of OTLP's; 64-bit numbers are strings in its JSON
    errorMessage: str = ""  # noqa: N815  as above


class _JsonResponse(msgspec.Struct):
    partialSuccess: _JsonPartial | None = None  # noqa: N815  as above


def _wait_s(text: str) -> float:
    """`Retry-After` in seconds, as a number or a date (RFC 9110 §10.2.3); 0 where it tells nothing."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(max(seconds, 0.0), MAX_WAIT_S) if seconds == seconds else 0.0  # noqa: PLR0124  NaN is not itself


def _readable(span: Span) -> ReadableSpan:
    context = SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=_SAMPLED)
    parent = SpanContext(span.trace_id, span.parent_id, is_remote=span.remote_parent) if span.parent_id else None
    return ReadableSpan(
        span.name,
        context,
        parent,
        _resource(span.resource),
        span.attributes,
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR, span.message) if span.failed else Status(StatusCode.UNSET),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=_SCOPE,
    )


@lru_cache(maxsize=1024)
def _resource(pairs: tuple[tuple[str, str], ...]) -> Resource:
    return Resource(dict(pairs))
