"""Figures that need more than a sum: decompositions, intervals, forecasts, anomalies. Pure, and without Dash.

statsmodels and what it brings along are imported where they are used, for that takes seconds; a server warms up.
"""

from __future__ import annotations

from importlib import import_module
from threading import Thread


def warm_up() -> None:
    """Import what statistics need in the background, so that no reader waits for it."""
    Thread(target=_import, name="tollmeter-statistics", daemon=True).start()


def _import() -> None:
    for name in ("scipy.special", "statsmodels.tsa.seasonal", "statsmodels.tsa.exponential_smoothing.ets"):
        import_module(name)
