"""What pricing again changes, by model and day, to the last decimal."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

from tollmeter.etl.repricing.differences import Difference
from tollmeter.model.errors import InvariantError
from tollmeter.pricing.cost import usd


class ModelDay(msgspec.Struct, kw_only=True):
    """The calls of one model and day whose price is another: how many, and what they cost before and after.

    Sums are over known costs, in units of 10^-12 USD: a call that was unpriced adds to the new one alone.
    `status_changes` counts calls by `before→after`.
    """

    day: date
    provider: str
    model: str
    calls: int = 0
    old_picousd: int = 0
    new_picousd: int = 0
    status_changes: dict[str, int] = {}

    def add(self, found: Difference) -> None:
        """Count one call."""
        self.calls += 1
        self.old_picousd += found.old_picousd or 0
        self.new_picousd += found.new.total_picousd or 0
        if found.new.status != found.old_status:
            change = f"{found.old_status}→{found.new.status}"
            self.status_changes[change] = self.status_changes.get(change, 0) + 1

    def document(self) -> dict[str, Any]:
        """The change for JSON, in USD."""
        own = {name: getattr(self, name) for name in ("day", "provider", "model", "calls", "status_changes")}
        return own | _in_usd(self.old_picousd, self.new_picousd)


class RepriceReport(msgspec.Struct, kw_only=True):
    """What a run changed, or would change.

    `requests` counts requests whose cost was the sum of their calls and is so again, `requests_left` those whose cost
    was something else and stays. Rows are those of the days written again, over all tables, as Iceberg counted them.
    """

    book: str
    dry_run: bool = False
    changes: list[ModelDay] = []
    requests: int = 0
    requests_left: int = 0
    rows_before: int = 0
    rows_after: int = 0
    seconds: float = 0.0

    @property
    def calls(self) -> int:
        """Calls whose price is another."""
        return sum(change.calls for change in self.changes)

    @property
    def days(self) -> int:
        """Days with such calls."""
        return len({change.day for change in self.changes})

    @property
    def equation(self) -> str:
        """The invariant with this run's numbers.

        >>> RepriceReport(book="genai-prices 0.2.3", rows_before=7, rows_after=7).equation
        'rows before = rows after: 7 = 7; every column but money is as it was'
        """
        sign = "=" if self.rows_before == self.rows_after else "≠"
        sides = f"{self.rows_before} {sign} {self.rows_after}"
        return f"rows before = rows after: {sides}; every column but money is as it was"

    def check(self) -> None:
        """Nothing, when the invariant holds.

        Raises:
            InvariantError: rows were lost or doubled.
        """
        if self.rows_before != self.rows_after:
            raise InvariantError(self.equation)

    def document(self) -> dict[str, Any]:
        """The report for JSON, sums in USD included."""
        own = {name: getattr(self, name) for name in self.__struct_fields__ if name != "changes"}
        old, new = (sum(getattr(one, name) for one in self.changes) for name in ("old_picousd", "new_picousd"))
        changes = [one.document() for one in self.changes]
        return {**own, "calls": self.calls, "days": self.days, **_in_usd(old, new), "changes": changes}


def _in_usd(old: int, new: int) -> dict[str, Any]:
    return {"old_cost_usd": usd(old), "new_cost_usd": usd(new), "difference_usd": usd(new - old)}
