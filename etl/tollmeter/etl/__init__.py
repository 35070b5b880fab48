"""Raw objects into the lake: validated, deduplicated, committed once, rolled up by the hour."""

from tollmeter.etl.discover import Span
from tollmeter.etl.forgetting import ForgetReport, forget
from tollmeter.etl.maintenance import CompactReport, ExpireReport, VacuumReport, compact, expire, vacuum
from tollmeter.etl.plan import Shard
from tollmeter.etl.report import RunReport
from tollmeter.etl.repricing import ModelDay, RepriceReport, reprice
from tollmeter.etl.runner import Scope, pending_objects, run
from tollmeter.etl.status import LakeStatus, TableStatus, status

__all__ = [
    "CompactReport",
    "ExpireReport",
    "ForgetReport",
    "LakeStatus",
    "ModelDay",
    "RepriceReport",
    "RunReport",
    "Scope",
    "Shard",
    "Span",
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
