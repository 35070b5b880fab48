"""The dimension budget: which label values a metric keeps, for each series is paid for by the month.

The first values seen are kept, up to a limit for each field; what comes later is folded into `other`. Values that the
settings name are always kept. The list is a file, so that hosts which share it keep the same values.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from tollmeter.model.settings import Settings

OTHER: Final = "other"
FREE_FIELDS: Final = frozenset({"service", "environment", "component", "sink", "status"})
"""Fields whose values are few by nature."""


class _Kept(msgspec.Struct):
    values: dict[str, list[str]] = {}
    series: dict[str, int] = {}


class DimensionBudget:
    """Admits label values; `folded` counts, by field, the points whose value was not kept.

    Args:
        path: the list of kept values; a missing or damaged one starts anew.
        limit: how many values a field keeps.
        named: values that are always kept, by field.
    """

    def __init__(self, path: Path, *, limit: int, named: Mapping[str, Iterable[str]] | None = None) -> None:
        self.folded: Counter[str] = Counter()
        self._path = path
        self._limit = limit
        self._kept = _read(path)
        self._values = {field: set(values) for field, values in self._kept.values.items()}
        for field, values in (named or {}).items():
            self._values.setdefault(field, set()).update(values)
        self._changed = False

    @classmethod
    def of(cls, settings: Settings, path: Path) -> DimensionBudget:
        """What the settings say: `dimension_limit` and `dimension_values`."""
        named = {field: text.split("|") for field, text in settings.dimension_values.items()}
        return cls(path, limit=settings.dimension_limit, named=named)

    def admit(self, field: str, value: str) -> str:
        """The value to send: itself, or `other`."""
        if not value or field in FREE_FIELDS:
            return value
        kept = self._values.setdefault(field, set())
        if value in kept:
            return value
        if len(kept) < self._limit:
            kept.add(value)
            self._changed = True
            return value
        self.folded[field] += 1
        return OTHER

    def count_series(self, series: Mapping[str, int]) -> None:
        """Note how many series each metric has by now."""
        for name, count in series.items():
            if count > self._kept.series.get(name, 0):
                self._kept.series[name] = count
                self._changed = True

    def save(self) -> None:
        """Write the list where it changed, with what other hosts have added since.

        Raises:
            OSError: it cannot be written; it is tried again the next time.
        """
        if not self._changed:
            return
        found = _read(self._path)
        for field, values in found.values.items():
            self._values.setdefault(field, set()).update(values)
        self._kept.series = {
            name: max(found.series.get(name, 0), self._kept.series.get(name, 0))
            for name in (*found.series, *self._kept.series)
        }
        self._kept.values = {field: sorted(values) for field, values in sorted(self._values.items())}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Each sink of metrics saves from a thread of its own.
        hidden = self._path.with_name(f".{self._path.name}.{os.getpid()}-{get_ident()}")
        hidden.write_bytes(msgspec.json.encode(self._kept))
        hidden.replace(self._path)
        self._changed = False


def kept_series(path: Path) -> dict[str, int]:
    """How many series each metric has, by name, as the list at `path` last noted."""
    return _read(path).series


def _read(path: Path) -> _Kept:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.MsgspecError):
        return _Kept()


def label(value: Any) -> str:
    """A field of an event as a label."""
    return "" if value is None else str(value)


# What a custom metric costs a month, in USD, and for how many (us-east-1, 2026-11; https://aws.amazon.com/cloudwatch/pricing/)
_STEPS: Final = ((10_000, Decimal("0.30")), (240_000, Decimal("0.10")), (750_000, Decimal("0.05")))
_BEYOND: Final = Decimal("0.02")


def monthly_price_usd(series: int) -> Decimal:
    """What so many custom metrics cost a month in CloudWatch, at the public price of us-east-1.

    >>> monthly_price_usd(12_000)
    Decimal('3200.00')
    """
    price, left = Decimal(0), series
    for size, each in _STEPS:
        price += min(left, size) * each
        left = max(0, left - size)
    return price + left * _BEYOND
