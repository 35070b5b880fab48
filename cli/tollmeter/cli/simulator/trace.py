"""Rows for a replay where no real trace is at hand, shaped like one."""

from __future__ import annotations

from random import Random

from tollmeter.cli.sample.traces import TraceRow
from tollmeter.cli.simulator.shapes import CONVERSATION_IN, CONVERSATION_OUT

_MEAN_GAP_S = 0.18
"""Mean time between two requests of the Azure conversation trace: 19,366 rows in 3,502 s."""


def simulated_rows(count: int, seed: int) -> list[TraceRow]:
    """Rows with the token sizes and the mean pace of the Azure conversation trace; the same seed gives the same rows.

    >>> simulated_rows(3, 7) == simulated_rows(3, 7)
    True
    """
    rng = Random(f"trace:{seed}")  # noqa: S311  a simulation, not a secret
    offset, rows = 0.0, []
    for index in range(count):
        rows.append(TraceRow(index, offset, int(CONVERSATION_IN.draw(rng)), int(CONVERSATION_OUT.draw(rng))))
        offset += rng.expovariate(1 / _MEAN_GAP_S)
    return rows
