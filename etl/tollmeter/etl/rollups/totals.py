"""What must add up: figures of a rollup that equal those of its rows, day by day and exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from tollmeter.model.errors import InvariantError

if TYPE_CHECKING:
    import duckdb

Figure = int | Decimal
Figures = dict[tuple[date, str], Figure]
"""By day and name; days without rows, and sums of nothing, are left out."""


@dataclass(frozen=True, slots=True)
class Total:
    """One figure by `event_date`: `rows` is its SQL over the table `source`, `rolled` that over the rollup."""

    name: str
    source: str
    rows: str
    rolled: str


def of_rows(connection: duckdb.DuckDBPyConnection, totals: Iterable[Total]) -> Figures:
    """The figures of the events that stand in the views `main.<source>`."""
    by_source: dict[str, list[Total]] = {}
    for total in totals:
        by_source.setdefault(total.source, []).append(total)
    found: Figures = {}
    for source, chosen in by_source.items():
        found |= _figures(connection, f"main.{source}", {total.name: total.rows for total in chosen})
    return found


def of_rollup(connection: duckdb.DuckDBPyConnection, view: str, totals: Iterable[Total]) -> Figures:
    """The figures of a rollup that stands in a view."""
    return _figures(connection, view, {total.name: total.rolled for total in totals})


def differences(expected: Figures, found: Figures) -> list[str]:
    """What does not add up, in words."""
    wrong = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
    return [
        f"{day}: {name} is {found.get((day, name), 0)}, of rows {expected.get((day, name), 0)}"
        for day, name in sorted(wrong)
    ]


def check(table: str, expected: Figures, found: Figures) -> None:
    """Nothing, when all figures are equal.

    Raises:
        InvariantError: some are not; the message names the table, the first day, and both figures.
    """
    if wrong := differences(expected, found):
        raise InvariantError(f"{table} does not add up to its rows in {len(wrong)} figures, such as {wrong[0]}")


def _figures(connection: duckdb.DuckDBPyConnection, view: str, expressions: dict[str, str]) -> Figures:
    columns = ", ".join(expressions.values())
    rows = connection.execute(f"SELECT event_date, {columns} FROM {view} GROUP BY event_date").fetchall()  # noqa: S608 - expressions are the registry's
    return {
        (day, name): value for day, *values in rows for name, value in zip(expressions, values, strict=True) if value
    }
