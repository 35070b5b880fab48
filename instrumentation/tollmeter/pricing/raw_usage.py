"""The usage as the provider wrote it, for a call whose counts contradict each other or were not understood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tollmeter.pricing.shapes.fields import decoded, encoded

MAX_CHARS: Final = 4096
_MAX_DEPTH: Final = 8
_MARK: Final = b'"usage'
_NAMES: Final = ("usage", "usageMetadata")
_AROUND: Final = ("response", "message", "choices", "x_groq", "metadata", "meta")


def raw_usage(said: bytes) -> str:
    """The usage object in a JSON answer or stream event, as JSON cut at 4,096 characters; empty where it has none.

    >>> raw_usage(b'{"id": "c1", "usage": {"tokens_used": 12}}')
    '{"tokens_used":12}'
    """
    if _MARK not in said:
        return ""
    found = next(_usages(decoded(said)), None)
    return encoded(found).decode()[:MAX_CHARS] if found is not None else ""


def _usages(value: Any, depth: int = 0) -> Iterator[Any]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for item in reversed(value):
            yield from _usages(item, depth + 1)
    elif isinstance(value, dict):
        yield from (value[name] for name in _NAMES if value.get(name))
        for name in _AROUND:
            yield from _usages(value.get(name), depth + 1)
