"""Bedrock's wire formats: Converse and InvokeModel, as JSON or as AWS event-stream frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.pricing.shapes import anthropic
from tollmeter.pricing.shapes import bedrock as shape
from tollmeter.pricing.shapes.eventstream import Frame, FrameDecoder
from tollmeter.pricing.shapes.fields import decoded, encoded, mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollmeter.instrumentation.calls import Call
    from tollmeter.instrumentation.tap.text_meter import TextMeter

STREAM_TYPE: Final = b"application/vnd.amazon.eventstream"
_CUT: Final = "IncompleteFrame"
_EXCEPTION: Final = ":exception-type"
_TOKEN_EVENTS: Final = ("contentBlockDelta",)
_TOKEN_TYPES: Final = ("content_block_delta",)
_TEXT_FIELDS: Final = ("outputText", "generation", "completion", "text")


def read_answer(call: Call, body: bytes) -> str:
    """Take over what a JSON answer says; the error of one that failed stands in its headers."""
    document = decoded(body)
    return read_document(call, document) if isinstance(document, dict) else ""


class FrameScanner:
    """Reads each frame of an event stream; held is no more than one unfinished frame."""

    __slots__ = ("_call", "_frames", "_heard", "done", "error", "meter")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._frames = FrameDecoder()
        self.done = False
        self.error = ""
        self.meter: TextMeter | None = None
        self._heard = call.content.heard if call.content is not None else None

    def feed(self, chunk: bytes) -> None:
        """Scan one chunk of the body, cut anywhere."""
        for frame in self._frames.feed(chunk):
            self._read(frame)

    def finish(self) -> None:
        """A stream that ends inside of a frame was cut, which botocore does not notice."""
        if self._frames.is_cut:
            self.error = self.error or _CUT

    def _read(self, frame: Frame) -> None:
        self.error = frame.headers.get(_EXCEPTION, self.error)
        document = shape.document_of(frame)
        if not isinstance(document, dict):
            return
        if self._heard is not None:
            self._heard.take(document)
        kind = frame.headers.get(":event-type", "")
        if not self._call.first_token and _has_token(kind, document):
            self._call.saw_token()
        if document.get("usage"):
            self._call.said = encoded(document)  # the frame itself may hold it as base64
        read_document(self._call, document)
        # The last word of Converse is its metadata; InvokeModel ends with the metrics of the invocation.
        self.done = self.done or kind == "metadata" or "amazon-bedrock-invocationMetrics" in document


def _has_token(kind: str, document: Mapping[str, Any]) -> bool:
    if kind in _TOKEN_EVENTS or document.get("type") in _TOKEN_TYPES or "contentBlockDelta" in document:
        return True
    return any(document.get(field) for field in _TEXT_FIELDS)


def read_document(call: Call, document: Mapping[str, Any]) -> str:
    """Take over what a parsed answer or event says; errors stand elsewhere, so none is returned."""
    message = mapping(document, "message") or document
    stop = document.get("stopReason") or message.get("stop_reason") or mapping(document, "delta").get("stop_reason")
    said = (
        ("response_model", message.get("model") or _routed_to(document)),
        ("finish_reason", stop or mapping(document, "messageStop").get("stopReason")),
        ("service_tier", mapping(document, "serviceTier").get("type")),
    )
    call.facts |= {field: value for field, value in said if isinstance(value, str) and value}
    call.usage = shape.merge(call.usage, shape.usage_of(document))
    call.further = anthropic.further_of(document) or call.further
    return ""


def _routed_to(document: Mapping[str, Any]) -> str:
    """The model that a prompt router chose, as Converse tells it by an ARN; in a stream its metadata does."""
    trace = mapping(mapping(document, "metadata") or document, "trace")
    arn = mapping(trace, "promptRouter").get("invokedModelId")
    return arn.rpartition("/")[2][:256] if isinstance(arn, str) else ""
