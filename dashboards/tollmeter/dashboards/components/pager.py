"""The foot of a table that is read page by page."""

from __future__ import annotations

from typing import Any

from tollmeter.dashboards.components.aria import aria


def pager(text: str, before: str, after: str) -> Any:
    """Where the page stands, and links to its neighbours; an empty address is none."""
    from dash import dcc, html

    def link(label: str, href: str) -> Any:
        return dcc.Link(label, href=href, className="tm-link") if href else html.Span(label, className="tm-muted")

    parts = [link("← Previous", before), html.Span(text, className="tm-digits"), link("Next →", after)]
    return html.Nav(parts, className="tm-pager", **aria("Pages of the table"))
