"""Ollama's own wire format: JSON answers, and streams of a JSON document a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollmeter.instrumentation.tap.scanning import EventScanner
from tollmeter.pricing.shapes import ollama as shape
from tollmeter.pricing.shapes.fields import decoded, mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollmeter.instrumentation.calls import Call


def read_answer(call: Call, body: bytes) -> str:
    """Take over what a JSON answer says; returns the error it carries, or an empty string."""
    document = decoded(body)
    return read_document(call, document) if isinstance(document, dict) else ""


class OllamaScanner(EventScanner):
    """Reads the first document with content, the last, and errors."""

    __slots__ = ()
    prefix = b""
    marks = (b'"done":true', b'"done": true', b'"error"')

    def read(self, data: bytes) -> None:
        """Read one document."""
        document = decoded(data)
        if not isinstance(document, dict):
            return
        message = mapping(document, "message")
        if document.get("response") or any(message.get(field) for field in ("content", "thinking", "tool_calls")):
            self.call.saw_token()
        self.call.said = data
        self.error = read_document(self.call, document) or self.error
        self.done = self.done or document.get("done") is True


def read_document(call: Call, document: Mapping[str, Any]) -> str:
    """Take over what one parsed answer says; returns the error it carries, or an empty string."""
    said = (("response_model", document.get("model")), ("finish_reason", document.get("done_reason")))
    call.facts |= {field: value for field, value in said if isinstance(value, str) and value}
    call.usage = shape.usage_of(document) or call.usage
    error = document.get("error")
    return str(error)[:256] if error else ""
