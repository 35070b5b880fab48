"""Raw objects into the lake: validated, deduplicated, committed once, rolled up by the hour."""

from tollmeter.etl.forgetting import ForgetReport, forget
from tollmeter.etl.maintenance import CompactReport, ExpireReport, VacuumReport, compact, expire, vacuum
from tollmeter.etl.report import RunReport
from tollmeter.etl.repricing import ModelDay, RepriceReport, reprice
from tollmeter.etl.runner import pending_objects, run
from tollmeter.etl.status import LakeStatus, TableStatus, status

__all__ = [
    "CompactReport",
    "ExpireReport",
    "ForgetReport",
    "LakeStatus",
    "ModelDay",
    "RepriceReport",
    "RunReport",
    "TableStatus",
    "VacuumReport",
    "compact",
    "expire",
    "forget",
    "pending_objects",
    "reprice",
    "run",
    "status",
    "vacuum",
]
