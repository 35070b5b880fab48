"""Costs of calls that have landed, computed again under a price book of today."""

from tollmeter.etl.repricing.report import ModelDay, RepriceReport
from tollmeter.etl.repricing.run import reprice

__all__ = ["ModelDay", "RepriceReport", "reprice"]
