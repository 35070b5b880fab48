"""Reading fields of foreign JSON: whatever is not what it should be is taken as not said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollmeter.model.events import MAX_COUNT

EMPTY: Final[Mapping[str, Any]] = {}


def decoded(data: bytes) -> Any:
    """The JSON value in some bytes, or None where they hold none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def encoded(value: Any) -> bytes:
    """A value as JSON; nothing where it holds what JSON cannot, such as half a surrogate pair, which can be read."""
    try:
        return msgspec.json.encode(value, enc_hook=str)
    except Exception:  # noqa: BLE001  `str` of a foreign object may raise anything
        return b""


def mapping(document: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The first of the named fields that holds a filled object, else an empty one."""
    for name in names:
        value = document.get(name)
        if value and isinstance(value, dict):
            return value
    return EMPTY


def mappings(document: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    """The objects in the first of the named fields that holds a filled list."""
    for name in names:
        value = document.get(name)
        if value and isinstance(value, list):
            return [item for item in value if isinstance(item, dict)]
    return []


def first(raw: Mapping[str, Any], *names: str, fallback: int | None = None) -> int | None:
    """The first of the named fields that holds a count: a whole number, not negative, that the lake can store.

    >>> first({"a": -1, "b": 28.0}, "a", "b")
    28
    """
    for name in names:
        value = raw.get(name)
        if value is None:
            continue
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is int and 0 <= value <= MAX_COUNT:
            return value
    return fallback


def total(*counts: int | None) -> int | None:
    """The sum of what was said, or None where nothing was or the sum is beyond what the lake can store.

    >>> total(3, None, 4), total(None, None)
    (7, None)
    """
    known = [count for count in counts if count is not None]
    whole = sum(known)
    return whole if known and whole <= MAX_COUNT else None
