"""The service level objective: how much of what may fail has failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tollmeter.dashboards.queries.cube import Sums


@dataclass(frozen=True, slots=True)
class Budget:
    """An error budget: of `total` requests, `allowed` may be answered with 5xx, and `failed` were.

    `target` is a share of requests, such as 0.995; `allowed` need not be whole.
    """

    target: float
    total: int
    failed: int

    @property
    def allowed(self) -> float:
        """How many requests may fail."""
        return self.total * (1 - self.target)

    @property
    def left(self) -> float | None:
        """The share of the budget that is left: 1 when nothing failed, below 0 when it is overspent.

        None where there is nothing to spend: no request yet, or a target of 1.

        >>> round(Budget(0.99, total=1000, failed=4).left, 6)
        0.6
        """
        return 1 - self.failed / self.allowed if self.allowed > 0 else None


def budget(target: float, served: Sums) -> Budget:
    """The budget of everything served."""
    return Budget(
        target, sum(row.requests or 0 for row in served.rows), sum(row.request_errors or 0 for row in served.rows)
    )


def left_over_time(target: float, served: Sums) -> list[tuple[datetime, float]]:
    """What was left at the end of each bucket that has requests, oldest first.

    The budget is that of all requests of the window, so that the line only falls, and ends at what is left now.
    """
    whole, failed = budget(target, served), 0
    points = []
    for row in sorted(served.rows, key=lambda row: row.bucket) if whole.allowed > 0 else ():
        failed += row.request_errors or 0
        points.append((row.bucket, 1 - failed / whole.allowed))
    return points
