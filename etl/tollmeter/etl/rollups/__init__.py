"""Rollups: what pages and alarms read instead of rows, derived again for the days whose rows changed."""

from __future__ import annotations

from tollmeter.etl.rollups.deriving import derive
from tollmeter.etl.rollups.report import RollupReport

__all__ = ["RollupReport", "derive"]
