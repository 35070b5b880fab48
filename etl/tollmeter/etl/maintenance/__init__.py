"""What pyiceberg lacks: compaction, expiry that deletes files, orphans and retention."""

from tollmeter.etl.maintenance.compaction import CompactReport, compact
from tollmeter.etl.maintenance.expiry import ExpireReport, expire
from tollmeter.etl.maintenance.vacuuming import VacuumReport, vacuum

__all__ = ["CompactReport", "ExpireReport", "VacuumReport", "compact", "expire", "vacuum"]
