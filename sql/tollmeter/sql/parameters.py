"""Parameters of named queries: what a value may be, and how text becomes one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from tollmeter.model.errors import SettingError

Value = str | int | date | datetime

_RELATIVE: Final = re.compile(r"(?:now)?-(\d{1,6})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_ALLOWED: Final = {
    "text": "text",
    "int": "a whole number, 0 or more",
    "date": "a day such as 2026-11-01, or an offset such as -30d",
    "timestamp": "a time such as 2026-11-01T12:00, now, or an offset such as -30d, -6h, -15m",
}
TYPES: Final = tuple(_ALLOWED)
_MAX_INT: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query: its type (`text`, `int`, `date`, `timestamp`, or choices joined by `|`) and default.

    A default of None means that a value must be given.
    """

    name: str
    type: str
    default: str | None
    description: str

    @property
    def allowed(self) -> str:
        """What it accepts, in words."""
        return _ALLOWED.get(self.type) or "one of " + ", ".join(self.type.split("|"))

    @property
    def in_words(self) -> str:
        """Type, default and meaning, for help texts."""
        default = "required" if self.default is None else f"default {self.default!r}"
        return f"{self.type}, {default}: {self.description}"

    def parse(self, value: object, now: datetime) -> Value:
        """The value to bind; times are UTC without zone, as in the lake.

        Raises:
            SettingError: the value is not of the parameter's type; the message names what is allowed.

        >>> Parameter("since", "timestamp", "-1d", "").parse("-6h", datetime(2026, 11, 1, 12, tzinfo=UTC))
        datetime.datetime(2026, 11, 1, 6, 0)
        """
        try:
            return self._parsed(value, now)
        except (ValueError, TypeError, OverflowError):
            raise SettingError(self.name, value, self.allowed) from None

    def _parsed(self, value: object, now: datetime) -> Value:
        if self.type == "timestamp":
            return _timestamp(value, now)
        if self.type == "date":
            return _date(value, now)
        if self.type == "int":
            return _int(value)
        return _text(value, self.type.split("|") if "|" in self.type else None)


def _timestamp(value: object, now: datetime) -> datetime:
    if isinstance(value, str):
        value = _relative(value, now) or datetime.fromisoformat(value.strip())
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the lake's times have no zone
    if not isinstance(value, datetime):
        raise TypeError(value)
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _date(value: object, now: datetime) -> date:
    if isinstance(value, str):
        value = _relative(value, now) or date.fromisoformat(value.strip())
    if isinstance(value, datetime):
        return _timestamp(value, now).date()
    if not isinstance(value, date):
        raise TypeError(value)
    return value


def _relative(text: str, now: datetime) -> datetime | None:
    word = text.strip().lower()
    if word == "now":
        return now
    match = _RELATIVE.fullmatch(word)
    return now - timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(value)
    number = int(value)
    if not 0 <= number <= _MAX_INT:
        raise ValueError(value)
    return number


def _text(value: Any, choices: list[str] | None) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    if choices and value not in choices:
        raise ValueError(value)
    return value
