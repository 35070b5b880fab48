"""Raw objects into the lake: validated, deduplicated, committed once, rolled up by the hour."""

from tollmeter.etl.report import RunReport
from tollmeter.etl.repricing import ModelDay, RepriceReport, reprice
from tollmeter.etl.runner import pending_objects, run
from tollmeter.etl.status import LakeStatus, TableStatus, status

__all__ = [
    "LakeStatus",
    "ModelDay",
    "RepriceReport",
    "RunReport",
    "TableStatus",
    "pending_objects",
    "reprice",
    "run",
    "status",
]
