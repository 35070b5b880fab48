"""Anthropic's wire format: messages and their event streams, at Anthropic and on Vertex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.instrumentation.tap.scanning import EventScanner
from tollmeter.instrumentation.tap.text_meter import TextMeter
from tollmeter.pricing.shapes import anthropic as shape
from tollmeter.pricing.shapes.fields import decoded, mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollmeter.instrumentation.calls import Call

_UNSAID: Final = ("", "not_available")
_TOKENS: Final = (b'"content_block_delta"', b'"tool_use"')


def read_answer(call: Call, body: bytes) -> str:
    """Take over what a JSON answer says; returns the error it carries, or an empty string."""
    document = decoded(body)
    return read_document(call, document) if isinstance(document, dict) else ""


class AnthropicScanner(EventScanner):
    """Reads `message_start`, `message_delta` and errors; their counts are cumulative and the later one wins."""

    __slots__ = ()

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.meter = TextMeter() if call.recorder.settings.estimate_usage else None

    marks = (b'"message_', b'"error"')

    def read(self, data: bytes) -> None:
        """Read one event."""
        if not self.call.first_token and any(mark in data for mark in _TOKENS):
            self.call.saw_token()
        if not any(mark in data for mark in self.marks):
            return
        document = decoded(data)
        if not isinstance(document, dict):
            return
        self.call.said = data if b'"usage"' in data else self.call.said
        self.error = read_document(self.call, document) or self.error
        # The delta that says why it stopped has the last counts; some readers leave before `message_stop`.
        stopped = document.get("type") == "message_stop" or mapping(document, "delta").get("stop_reason")
        self.done = self.done or bool(stopped)


def read_document(call: Call, document: Mapping[str, Any]) -> str:
    """Take over what a parsed answer or event says; returns the error it carries, or an empty string."""
    message = mapping(document, "message") or document
    usage = mapping(message, "usage")
    stop = message.get("stop_reason") or mapping(document, "delta").get("stop_reason")
    said = (
        ("response_model", message.get("model")),
        ("finish_reason", stop),
        ("service_tier", usage.get("service_tier")),
        ("inference_region", usage.get("inference_geo")),
    )
    call.facts |= {field: value for field, value in said if isinstance(value, str) and value not in _UNSAID}
    call.usage = shape.merge(call.usage, shape.usage_of(document))
    call.further = shape.further_of(document) or call.further
    error = mapping(document, "error")
    return str(error.get("type") or "error")[:256] if error else ""
