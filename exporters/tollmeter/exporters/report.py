"""What a forwarder did, for people, machines and the lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tollmeter.exporters.cursor import ACKNOWLEDGED, DROPPED, IN_DOUBT, PRODUCED
from tollmeter.model.errors import InvariantError


@dataclass(frozen=True, slots=True)
class Standing:
    """How one sink stands now: what it has yet to pass, what it holds, and since when it fails.

    `lag_ms` is the age of the oldest event it has not passed, 0 when there is none; `failing_s` how long it has been
    failing, or at one call, 0 while it works; `error` what it last complained about.
    """

    durable: bool
    lag_ms: float = 0.0
    waiting_bytes: int = 0
    held: int = 0
    error: str = ""
    failing_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Left:
    """What a sink left in the spool: lines, their bytes, and the age of the oldest in seconds."""

    lines: int
    size_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """Counts since the forwarder began (`<sink>.<what>`, and what belongs to no sink), and how each sink stands.

    `held` is how many lines a sink has taken into memory and not settled yet, none once it was closed; `lag_ms` the age
    of the oldest event a sink has not passed, 0 when there is none; `errors` what it last complained about; `left` what
    it has not passed, which is lost where the disk goes now; `waiting` the segments still in the spool.
    """

    sinks: tuple[str, ...]
    counts: Mapping[str, int]
    held: Mapping[str, int] = field(default_factory=dict)
    lag_ms: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, Left] = field(default_factory=dict)
    waiting: int = 0
    seconds: float = 0.0

    def of(self, sink: str, what: str) -> int:
        """One count of one sink."""
        return self.counts.get(f"{sink}.{what}", 0)

    def check(self) -> None:
        """Hold produced = acknowledged + dropped + in doubt, and what is still held, against every sink.

        Raises:
            InvariantError: it does not hold; the message has the figures.
        """
        for sink in self.sinks:
            produced, acknowledged = self.of(sink, PRODUCED), self.of(sink, ACKNOWLEDGED)
            dropped, in_doubt = self.of(sink, DROPPED), self.of(sink, IN_DOUBT)
            held = self.held.get(sink, 0)
            if produced != acknowledged + dropped + in_doubt + held:
                raise InvariantError(
                    f"{sink}: {produced} lines produced, but {acknowledged} acknowledged + {dropped} dropped + "
                    f"{in_doubt} in doubt + {held} held"
                )

    def lines(self) -> list[str]:
        """The report as text: one line per sink, then what went wrong."""
        told = [self._line(sink) for sink in self.sinks]
        told += [f"{sink}: failing: {error}" for sink, error in self.errors.items()]
        told += [_left_behind(sink, left) for sink, left in self.left.items()]
        others = {name: count for name, count in self.counts.items() if "." not in name}
        if others:
            told.append(", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in sorted(others.items())))
        return [*told, f"{self.waiting:,} segments left in the spool"]

    def _line(self, sink: str) -> str:
        return (
            f"{sink}: {self.of(sink, PRODUCED):,} lines = {self.of(sink, ACKNOWLEDGED):,} acknowledged + "
            f"{self.of(sink, DROPPED):,} dropped + {self.of(sink, IN_DOUBT):,} in doubt; "
            f"lag {self.lag_ms.get(sink, 0.0) / 1000:.1f} s"
        )


def _left_behind(sink: str, left: Left) -> str:
    return (
        f"{sink}: left behind: {left.lines:,} lines ({left.size_bytes:,} bytes) of the last {left.seconds:.1f} s, "
        "lost if this disk goes now"
    )
