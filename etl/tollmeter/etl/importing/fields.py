"""Fields of another system's record, read with care: a value that is not what it should be is a fault."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

from tollmeter.model.columns import MONEY_SCALE
from tollmeter.model.errors import DataError

MONEY_UNIT: Final = Decimal(1).scaleb(-MONEY_SCALE)
_MILLIS: Final = 1000.0
_HEX: Final = frozenset("0123456789abcdef")


class RecordError(DataError):
    """A record that cannot become an event; `reason` is its class, for counts."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class SkippedError(DataError):
    """A record that is no model call; `reason` says what it is."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def first(record: Mapping[str, Any], *names: str) -> Any:
    """The first of some fields that is there and not empty, or None."""
    return next((value for name in names if (value := record.get(name)) not in (None, "")), None)


def text(record: Mapping[str, Any], *names: str) -> str:
    """The first of some fields as text; empty where there is none."""
    value = first(record, *names)
    return "" if value is None else str(value)


def count(record: Mapping[str, Any], *names: str) -> int | None:
    """The first of some fields as a count.

    Raises:
        RecordError: it is none.

    >>> count({"a": None, "b": "12"}, "a", "b"), count({"c": 3.0}, "c"), count({}, "c")
    (12, 3, None)
    """
    value = first(record, *names)
    if value is None:
        return None
    try:
        number = Decimal(str(value))
        whole = int(number)
    except (InvalidOperation, ValueError, OverflowError):
        raise RecordError("count", f"{names[0]}={value!r}") from None
    if isinstance(value, bool) or whole != number or whole < 0:
        raise RecordError("count", f"{names[0]}={value!r}")
    return whole


def moment(record: Mapping[str, Any], *names: str) -> datetime | None:
    """The first of some fields as a time; without a zone it is UTC, a number is seconds since 1970.

    Raises:
        RecordError: it is none.

    >>> moment({"t": "2026-11-01 12:00:00.5"}, "t")
    datetime.datetime(2026, 11, 1, 12, 0, 0, 500000, tzinfo=datetime.timezone.utc)
    """
    value = first(record, *names)
    if value is None:
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        raise RecordError("time", f"{names[0]}={value!r}") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def needed_moment(record: Mapping[str, Any], *names: str) -> datetime:
    """As `moment`, and it has to be there.

    Raises:
        RecordError: it is not, or is none.
    """
    found = moment(record, *names)
    if found is None:
        raise RecordError("time", f"no {names[0]}")
    return found


def needed_text(record: Mapping[str, Any], *names: str) -> str:
    """As `text`, and it has to be there.

    Raises:
        RecordError: it is not.
    """
    found = text(record, *names)
    if not found:
        raise RecordError("no_id", f"no {names[0]}")
    return found


def usd(value: Any) -> Decimal | None:
    """An amount, rounded half-even to the lake's 1e-12; a float is taken as it is written, not as it is stored.

    Raises:
        RecordError: it is no amount of 0 or more.

    >>> usd(0.1), usd("1e-13"), usd(None)
    (Decimal('0.100000000000'), Decimal('0E-12'), None)
    """
    if value in (None, ""):
        return None
    try:
        amount = Decimal(str(value))
        exact = amount.quantize(MONEY_UNIT, ROUND_HALF_EVEN)
    except InvalidOperation:
        raise RecordError("money", repr(value)) from None
    if not amount.is_finite() or amount < 0:
        raise RecordError("money", repr(value))
    return exact


def document(value: Any) -> dict[str, Any]:
    """A field that holds an object: as it is, as JSON text, or as the pairs of a Parquet map; else empty.

    >>> document('{"a": 1}'), document([("a", 1)]), document("none")
    ({'a': 1}, {'a': 1}, {})
    """
    if isinstance(value, str):
        value = _json(value)
    if isinstance(value, list) and value and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):  # noqa: PLR2004 - a pair
        return {str(name): item for name, item in value}
    return dict(value) if isinstance(value, Mapping) else {}


def names_of(value: Any) -> str:
    """A list of names, or its JSON text, separated by commas; empty where there are none.

    >>> names_of('["a", "b"]'), names_of(None)
    ('a,b', '')
    """
    found = _json(value) if isinstance(value, str) else value
    return ",".join(str(one) for one in found) if isinstance(found, list) else ""


def millis(start: datetime | None, end: datetime | None) -> float | None:
    """Milliseconds between two times; None where one is missing, or they are the wrong way round."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds() * _MILLIS


def hex_id(value: str, digits: int) -> str:
    """A W3C id, or nothing where the text is none.

    >>> hex_id("00f067aa0ba902b7", 16), hex_id("my-trace", 32)
    ('00f067aa0ba902b7', '')
    """
    return value if len(value) == digits and _HEX.issuperset(value) else ""


def told(**tags: str) -> dict[str, str]:
    """Tags of a source, `litellm__user` as `litellm.user`; empty ones are left out."""
    return {name.replace("__", "."): value for name, value in tags.items() if value}


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return None
