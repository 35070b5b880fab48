"""Sums by one dimension as points of a chart."""

from __future__ import annotations

from tollmeter.dashboards.prepare.charts import Point
from tollmeter.dashboards.queries.cube import Sums


def points(found: Sums, figure: str) -> list[Point]:
    """One figure of every row; the row of what is beyond the values told apart has no name."""
    return [Point(row.bucket, row.name, getattr(row, figure)) for row in found.rows]
