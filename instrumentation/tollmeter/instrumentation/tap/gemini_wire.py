"""Gemini's wire format, of the Gemini API and of Vertex: JSON, a stream of events, or a stream as one JSON array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.instrumentation.tap.scanning import EventScanner
from tollmeter.pricing.shapes import gemini as shape
from tollmeter.pricing.shapes.fields import decoded, mapping, mappings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollmeter.instrumentation.calls import Call

_USAGE: Final = b'"usageMetadata"'


def read_answer(call: Call, body: bytes) -> str:
    """Take over what an answer says, or an array of them; returns the error it carries, or an empty string."""
    error = ""
    for document in shape.documents(body):
        if isinstance(document, dict):
            error = read_document(call, document) or error
    return error


class GeminiScanner(EventScanner):
    """Keeps the newest event with usage: every event repeats the cumulative counts, and the newest wins."""

    __slots__ = ("_newest",)

    marks = (_USAGE, b'"error"')

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._newest = b""

    def read(self, data: bytes) -> None:
        """Read one event."""
        if not self.call.first_token or b'"finishReason"' in data or b'"error"' in data:
            document = decoded(data)
            if isinstance(document, dict):
                self.error = read_document(self.call, document) or self.error
                self._look_for_token(document)
        if _USAGE in data:
            self._newest = data

    def conclude(self) -> None:
        """Take over the newest counts."""
        self.call.said = self._newest
        if self._newest:
            read_answer(self.call, self._newest)

    def _look_for_token(self, document: Mapping[str, Any]) -> None:
        parts = (
            part for found in mappings(document, "candidates") for part in mappings(mapping(found, "content"), "parts")
        )
        if any(part.get("text") or part.get("functionCall") or part.get("inlineData") for part in parts):
            self.call.saw_token()


def read_document(call: Call, document: Mapping[str, Any]) -> str:
    """Take over what a parsed answer or event says; returns the error it carries, or an empty string."""
    reasons = [found.get("finishReason") for found in mappings(document, "candidates")]
    said = (
        ("response_model", document.get("modelVersion")),
        ("finish_reason", reasons[0].lower() if reasons and isinstance(reasons[0], str) else ""),
        ("service_tier", mapping(document, "usageMetadata").get("serviceTier")),
        ("provider_request_id", call.facts.get("provider_request_id") or document.get("responseId")),
    )
    call.facts |= {field: value for field, value in said if isinstance(value, str) and value}
    call.usage = shape.merge(call.usage, shape.usage_of(document) or shape.usage_of_predictions(document))
    error = mapping(document, "error")
    return str(error.get("status") or error.get("code") or "error")[:256] if error else ""
