"""Attributes for those who do not see the page; generated components type every keyword, and these have hyphens."""

from __future__ import annotations

from typing import Any


def aria(label: str = "", **more: str) -> Any:
    """Keyword arguments of a component: its name in words, and further `aria-…` attributes.

    >>> aria("Refresh", expanded="false")
    {'aria-label': 'Refresh', 'aria-expanded': 'false'}
    """
    return ({"aria-label": label} if label else {}) | {f"aria-{name}": value for name, value in more.items()}
