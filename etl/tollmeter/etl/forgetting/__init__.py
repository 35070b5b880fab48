"""`forget`: one user or tenant out of every table, file and snapshot, with proof, and kept out from then on."""

from tollmeter.etl.forgetting.proof import Found
from tollmeter.etl.forgetting.run import ForgetReport, forget

__all__ = ["ForgetReport", "Found", "forget"]
