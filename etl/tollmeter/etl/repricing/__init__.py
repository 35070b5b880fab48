"""Costs of calls that have landed, computed again under a price book of today."""

from tollmeter.etl.repricing.report import ModelDay, RepriceReport
from tollmeter.etl.repricing.run import reprice
from tollmeter.etl.repricing.seen import ModelSeen, models_seen

__all__ = ["ModelDay", "ModelSeen", "RepriceReport", "models_seen", "reprice"]
