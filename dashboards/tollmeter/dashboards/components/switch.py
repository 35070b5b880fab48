"""A choice among a few ways to look at a page, kept in the address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tollmeter.dashboards.components.aria import aria


def switch(name: str, label: str, ways: Sequence[tuple[str, str, str]], chosen: str) -> Any:
    """Links side by side, as text, what it means, and address; the text that is chosen is marked."""
    from dash import dcc, html

    made = [
        dcc.Link(text, href=href, title=meaning, className="tm-chosen" if text == chosen else "")
        for text, meaning, href in ways
    ]
    return html.Nav(made, id=name, className="tm-switch", **aria(label))
