"""The same numbers where people already are: boards of the metric registry for CloudWatch and Datadog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tollmeter.dashboards.platforms import cloudwatch, datadog
from tollmeter.dashboards.platforms.boards import BOARDS, Board, board
from tollmeter.dashboards.platforms.target import Target
from tollmeter.model.errors import UnknownNameError

__all__ = ["BOARDS", "PLATFORMS", "Board", "Target", "board", "render"]

PLATFORMS: Final[dict[str, Callable[[Board, Target], dict[str, Any]]]] = {
    "cloudwatch": cloudwatch.render,
    "datadog": datadog.render,
}


def render(platform: str, name: str, target: Target) -> dict[str, Any]:
    """One board as the platform's own document.

    Raises:
        UnknownNameError: there is no such platform or board; the message lists near matches.
    """
    if platform not in PLATFORMS:
        raise UnknownNameError("dashboard platform", platform, PLATFORMS)
    return PLATFORMS[platform](board(name), target)
