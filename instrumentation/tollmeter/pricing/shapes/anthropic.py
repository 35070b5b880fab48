"""The Anthropic shape: messages and their streams, at Anthropic itself, on Vertex, Bedrock, Azure and gateways.

`input_tokens` leaves out cache reads and writes; they are added. `message_start` and `message_delta` are merged by
`merge`: counts are cumulative, the later one wins. Fields as in the types of the anthropic SDK, 2.12.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing.shapes.exclusive import inclusive, merge
from tollmeter.pricing.shapes.fields import decoded, first, mapping, mappings, total
from tollmeter.pricing.shapes.sse import data_fields
from tollmeter.pricing.usage import TOOL_WEB_SEARCH, Usage

__all__ = ["FurtherUsage", "extract", "extract_further", "further_of", "is_document", "merge", "usage_of"]

_TYPES: Final = ("message", "message_start", "message_delta")  # no sets: a foreign type may be unhashable
_OUTSIDE: Final = ("advisor_message", "compaction")


class FurtherUsage(NamedTuple):
    """A further inference that ran inside a call: its model, empty for the call's own, and what it consumed."""

    model: str
    usage: Usage


def is_document(document: Mapping[str, Any]) -> bool:
    """Whether a parsed body or stream event is of this shape, whoever sent it."""
    return document.get("type") in _TYPES


def usage_of(document: Any) -> Usage | None:
    """The usage in one parsed message, stream event or line of batch results, or None where it holds none.

    An event of a stream may hold a part only: see `merge`.

    >>> usage_of({"usage": {"input_tokens": 5, "cache_read_input_tokens": 128955}}).input_tokens
    128960
    """
    return _usage(_raw(document))


def further_of(document: Any) -> list[FurtherUsage]:
    """What one parsed message or stream event says of inferences that its own counts leave out.

    Those are the advisor, another model, and compaction, which the call's own model does. In a stream the newest event
    that has any counts.
    """
    found: list[FurtherUsage] = []
    for raw in mappings(_raw(document), "iterations"):
        usage = _usage(raw) if raw.get("type") in _OUTSIDE else None
        if usage:
            model = raw.get("model")
            found.append(FurtherUsage(model if isinstance(model, str) else "", usage))
    return found


def extract(body: bytes, *, stream: bool) -> Usage | None:
    """The usage of a whole body: JSON, or server-sent events merged.

    Returns None for an error document, a usage with source `missing` where the body tells none.
    """
    documents = _documents(body, stream=stream)
    usage: Usage | None = None
    for document in documents:
        usage = merge(usage, usage_of(document))
    if usage is None and len(documents) == 1 and mapping(documents[0], "error"):
        return None
    return usage or Usage(source=USAGE_MISSING)


def extract_further(body: bytes, *, stream: bool) -> list[FurtherUsage]:
    """The further inferences that a whole body tells of."""
    found = (further_of(document) for document in reversed(_documents(body, stream=stream)))
    return next((further for further in found if further), [])


def _documents(body: bytes, *, stream: bool) -> list[Mapping[str, Any]]:
    parts = [data for data in data_fields(body) if b'"usage"' in data or b'"error"' in data] if stream else []
    documents = [decoded(data) for data in parts or [body]]
    return [document for document in documents if isinstance(document, dict)]


def _raw(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        return {}
    message = mapping(document, "message") or mapping(mapping(document, "result"), "message") or document
    return mapping(message, "usage")


def _usage(raw: Mapping[str, Any]) -> Usage | None:
    plain, output = first(raw, "input_tokens"), first(raw, "output_tokens")
    by_age = mapping(raw, "cache_creation")
    long_lived = first(by_age, "ephemeral_1h_input_tokens")
    made = total(long_lived, first(by_age, "ephemeral_5m_input_tokens"))
    read, written = first(raw, "cache_read_input_tokens"), first(raw, "cache_creation_input_tokens", fallback=made)
    if plain is None and output is None and read is None and written is None:
        return None
    searches = first(mapping(raw, "server_tool_use"), "web_search_requests")
    return Usage(
        input_tokens=inclusive(plain, read, written),
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=long_lived,
        reasoning_tokens=first(mapping(raw, "output_tokens_details"), "thinking_tokens"),
        server_tool_calls={TOOL_WEB_SEARCH: searches} if searches else {},  # fetching a page is not billed
    )
