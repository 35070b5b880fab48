"""Cohere's wire format, versions 1 and 2: JSON answers, and streams of events or of a JSON document a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.instrumentation.tap.scanning import EventScanner
from tollmeter.pricing.shapes import cohere as shape
from tollmeter.pricing.shapes.fields import decoded, mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollmeter.instrumentation.calls import Call

_TOKENS: Final = (b'"content-delta"', b'"tool-plan-delta"', b'"tool-call-start"', b'"text-generation"')


def read_answer(call: Call, body: bytes) -> str:
    """Take over what a JSON answer says; an error is told by its status alone."""
    document = decoded(body)
    if isinstance(document, dict):
        read_document(call, document)
    return ""


class CohereScanner(EventScanner):
    """Reads the event that ends the stream; of the others only that the first token has come."""

    __slots__ = ()
    prefix = b""  # version 1 sends bare documents, version 2 events
    marks = (b'"message-end"', b'"stream-end"')

    def read(self, data: bytes) -> None:
        """Read one line."""
        if not self.call.first_token and any(mark in data for mark in _TOKENS):
            self.call.saw_token()
        if not any(mark in data for mark in self.marks):
            return
        self.call.said = data.removeprefix(b"data:")
        document = decoded(self.call.said)
        if isinstance(document, dict):
            read_document(self.call, mapping(document, "response", "delta") or document)
            self.done = True


def read_document(call: Call, document: Mapping[str, Any]) -> str:
    """Take over what one parsed answer says; an error is told by its status alone."""
    facts = call.facts
    reason = document.get("finish_reason")
    if isinstance(reason, str):
        facts["finish_reason"] = reason[:256].lower()
    own_id = document.get("generation_id") or document.get("id")
    if isinstance(own_id, str) and not facts.get("provider_request_id"):
        facts["provider_request_id"] = own_id[:256]
    call.usage = shape.usage_of(document) or call.usage
    return ""
