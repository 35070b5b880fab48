"""What a run did, and the one equation that must hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tollmeter.etl.rollups.report import RollupReport
from tollmeter.model.errors import InvariantError


@dataclass(frozen=True, slots=True)
class RunReport:
    """Counts of one run: objects, bytes and lines read; rows landed by table; lines quarantined by reason; seconds.

    What was rolled up then, and how long that took, stands apart.
    """

    objects: int = 0
    bytes: int = 0
    lines: int = 0
    landed: int = 0
    duplicates: int = 0
    quarantined: int = 0
    forgotten: int = 0
    by_table: dict[str, int] = field(default_factory=dict)
    quarantined_by_reason: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    rollups: RollupReport = field(default_factory=RollupReport)

    @property
    def holds(self) -> bool:
        """Whether every line read is accounted for, once."""
        return self.lines == self.landed + self.duplicates + self.quarantined + self.forgotten

    @property
    def equation(self) -> str:
        """The invariant with this run's numbers.

        >>> RunReport(lines=3, landed=2, duplicates=1).equation
        'lines read = rows landed + duplicates + quarantined: 3 = 2 + 1 + 0'
        """
        parts = {"rows landed": self.landed, "duplicates": self.duplicates, "quarantined": self.quarantined}
        if self.forgotten:
            parts["forgotten"] = self.forgotten
        sides = f"{self.lines} {'=' if self.holds else '≠'} {' + '.join(map(str, parts.values()))}"
        return f"lines read = {' + '.join(parts)}: {sides}"

    def check(self) -> None:
        """Nothing, when the invariant holds.

        Raises:
            InvariantError: rows were lost or doubled.
        """
        if not self.holds:
            raise InvariantError(self.equation)


@dataclass(slots=True)
class Tally:
    """Counts while a run goes on."""

    objects: int = 0
    bytes: int = 0
    lines: int = 0
    duplicates: int = 0
    quarantined: int = 0
    forgotten: int = 0
    by_table: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add the counts of one batch."""
        self.objects += other.objects
        self.bytes += other.bytes
        self.lines += other.lines
        self.duplicates += other.duplicates
        self.quarantined += other.quarantined
        self.forgotten += other.forgotten
        self.by_table += other.by_table
        self.reasons += other.reasons

    def report(self, seconds: float) -> RunReport:
        """The counts as a report."""
        return RunReport(
            objects=self.objects,
            bytes=self.bytes,
            lines=self.lines,
            landed=self.by_table.total(),
            duplicates=self.duplicates,
            quarantined=self.quarantined,
            forgotten=self.forgotten,
            by_table=dict(self.by_table),
            quarantined_by_reason=dict(self.reasons),
            seconds=seconds,
        )
