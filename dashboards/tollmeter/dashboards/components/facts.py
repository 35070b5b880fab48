"""Pieces of a detail view: facts in columns, bars on a common scale, text as it was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tollmeter.dashboards.components.aria import aria
from tollmeter.dashboards.prepare import formats

if TYPE_CHECKING:
    from tollmeter.dashboards.prepare.call_facts import Fact, LatencyPart
    from tollmeter.dashboards.prepare.timeline import Timeline


def section(title: str, *body: Any) -> Any:
    """A part of a detail view under a heading; None where it has nothing to say."""
    from dash import html

    shown = [part for part in body if part is not None]
    return html.Section([html.H3(title), *shown], className="tm-part") if shown else None


def facts(found: Sequence[Fact], href: Callable[[Fact], str]) -> Any:
    """Facts as a list of names and texts; `href` is the address that one leads to, empty for none."""
    from dash import dcc, html

    if not found:
        return None
    rows: list[Any] = []
    for fact in found:
        address = href(fact)
        text = dcc.Link(fact.text, href=address, className="tm-link") if address else fact.text
        rows += [html.Dt(fact.name), html.Dd(text, title=fact.text)]
    return html.Dl(rows, className="tm-facts")


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], label: str, numbers_from: int = 1) -> Any:
    """A small table; columns from `numbers_from` on are right-aligned."""
    from dash import html

    def cell(kind: Any, index: int, body: Any) -> Any:
        return kind(body, className="tm-right" if index >= numbers_from else None)

    return html.Div(
        html.Table(
            [
                html.Thead(html.Tr([cell(html.Th, index, name) for index, name in enumerate(head)])),
                html.Tbody([html.Tr([cell(html.Td, index, one) for index, one in enumerate(row)]) for row in rows]),
            ],
            className="tm-rows",
            **aria(label),
        ),
        className="tm-scroll",
        tabIndex=0,
    )


def split(parts: Sequence[LatencyPart]) -> Any:
    """One bar in parts, each named below it."""
    from dash import html

    if not parts:
        return None
    bars = [
        html.Span(className=f"tm-split-{part.tone}", style={"width": f"{part.percent}%"}, title=part.name)
        for part in parts
    ]
    names = [
        html.Span([html.Span(className=f"tm-dot tm-split-{part.tone}"), f"{formats.duration(part.ms)} {part.name}"])
        for part in parts
    ]
    return html.Div([html.Div(bars, className="tm-split"), html.Div(names, className="tm-split-names")])


def timeline(found: Timeline, href: Callable[[str, str], str]) -> Any:
    """Bars of a request on one scale; `href` is the address of a call by id and day."""
    from dash import dcc, html

    rows = []
    for bar in found.bars:
        name: Any = bar.name
        if bar.event_id and not bar.chosen:
            name = dcc.Link(bar.name, href=href(bar.event_id, bar.day), className="tm-link")
        place = {"left": f"{min(bar.left, 99.6)}%", "width": f"max(3px, {bar.width}%)"}
        rows.append(
            html.Li(
                [
                    html.Span(name, className="tm-line-name", style={"paddingLeft": 12 * bar.depth}, title=bar.name),
                    html.Span(
                        html.Span(className=f"tm-line-bar tm-line-{bar.tone}", style=place), className="tm-line-track"
                    ),
                    html.Span(bar.label, className="tm-line-label", title=bar.label),
                ],
                className="tm-line tm-chosen" if bar.chosen else "tm-line",
            )
        )
    if found.dropped:
        rows.append(html.Li(f"and {formats.count(found.dropped)} more", className="tm-muted"))
    return html.Ol(rows, className="tm-lines")


def written(text: str) -> Any:
    """Text as it was written, in a frame that scrolls and that a keyboard reaches."""
    from dash import html

    return html.Pre(text, className="tm-pre", tabIndex=0)


def folded(title: str, body: Any) -> Any:
    """What is there on demand."""
    from dash import html

    return html.Details([html.Summary(title), body], className="tm-folded")
