"""What a derivation did: days, rows, seconds, and the sums that are equal on both sides."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tollmeter.etl.rollups.totals import Figures

SHOWN = ("calls", "requests", "input_tokens", "output_tokens", "cost_usd")


@dataclass(slots=True)
class RollupReport:
    """Days and rows written by table, the sums of the days' events as rollups and rows both have them, seconds."""

    days: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int | Decimal] = field(default_factory=dict)
    figures: int = 0
    seconds: float = 0.0

    def add(self, table: str, days: int, rows: int, checked: Figures) -> None:
        """Count one table's commit, whose figures were checked."""
        self.days[table] = days
        self.rows[table] = rows
        self.figures += len(checked)
        for name in SHOWN:
            found = [value for (_, total), value in checked.items() if total == name]
            if found:
                self.totals[name] = sum(found)

    @property
    def equation(self) -> str:
        """The sums, as a line of text.

        >>> RollupReport({"rollup_spend_daily": 2}, totals={"calls": 3, "cost_usd": Decimal("0.5")}, figures=9).equation
        'rollups = rows in 9 figures of 2 days: calls 3, cost_usd 0.5'
        """
        sums = ", ".join(f"{name} {value}" for name, value in self.totals.items())
        days = max(self.days.values(), default=0)
        return f"rollups = rows in {self.figures} figures of {days} days" + (f": {sums}" if sums else "")
