"""One session, whole: its running cost and context, its loops, where the money went, every call in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.components import facts, notices
from tollmeter.dashboards.components.aria import aria
from tollmeter.dashboards.components.graph import graph
from tollmeter.dashboards.figures import session as figures
from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.prepare.session_story import Story, Told, request_label, steps_of
from tollmeter.model.names import STATUS_OK

if TYPE_CHECKING:
    from datetime import datetime

    from tollmeter.dashboards.queries.sessions import WholeSession

_HEAD: Final = ("#", "Time", "Model", "Outcome", "in", "grown by", "out", "took", "cost", "so far")
_NUMBERS_FROM: Final = 4


def view(
    session: WholeSession, story: Story, *, call_href: Callable[[Told], str], when: Callable[[datetime], str]
) -> Any:
    """The session; `call_href` is the address of a call's drawer, `when` a moment on the clocks of the zone."""
    from dash import html

    return html.Div(
        [
            _head(session, story, when),
            _loops(story),
            graph("sessions-growth", figures.growth(story), "Running cost and input tokens by call", 330),
            facts.section("Where the money went", _shares(story)),
            facts.section("Calls in order", _calls(session, story, call_href, when)),
        ],
        className="tm-detail",
        id="sessions-detail",
    )


def _head(session: WholeSession, story: Story, when: Callable[[datetime], str]) -> Any:
    from dash import html

    known = session.known
    total = f"{story.total_usd:f}" if story.total_usd is not None else ""
    exact: dict[str, Any] = {"data-value": total}
    unpriced = f"{formats.many(story.unpriced, 'call')} of unknown cost" if story.unpriced else ""
    parts = [
        html.Span(formats.money(story.total_usd), id="sessions-total", title=f"{total} USD", **exact),
        html.Span(f"{formats.many(known.calls, 'call')} in {formats.many(known.requests, 'request')}"),
        html.Span(f"{formats.count(known.errors)} failed", className="tm-bad") if known.errors else None,
        html.Span(unpriced, className="tm-warn") if unpriced else None,
        html.Span(f"{when(known.first_at)}, {formats.duration(known.duration_s * 1000)}", className="tm-muted"),
        html.Span(" · ".join(part for part in (known.tenant_id, known.user_id) if part), className="tm-muted"),
    ]
    cut = len(session.calls) < known.calls
    note = (
        f"the first {formats.count(len(session.calls))} of {formats.count(known.calls)} calls are told" if cut else ""
    )
    return html.Div(
        [
            html.H2(session.session_id, className="tm-detail-title"),
            html.Div([part for part in parts if part is not None], className="tm-detail-line"),
            html.Div(note, className="tm-warn tm-small") if note else None,
        ]
    )


def _loops(story: Story) -> Any:
    from dash import html

    if not story.loops:
        return None
    lines = [html.Li(loop.sentence) for loop in story.loops]
    return html.Div(
        [html.Strong("Goes round in circles"), html.Ul(lines)], className="tm-banner tm-loops", role="status"
    )


def _shares(story: Story) -> Any:
    from dash import html

    rows = []
    for one in story.shares[:12]:
        bar = html.Span(html.Span(style={"width": f"{one.share * 100:.2f}%"}), className="tm-share")
        rows.append((one.name, bar, formats.count(one.calls), formats.money(one.cost_usd), f"{one.share:.1%}"))
    return facts.table(("What for", "", "calls", "cost", "share"), rows, "Cost by purpose and model", numbers_from=2)


def _calls(
    session: WholeSession, story: Story, call_href: Callable[[Told], str], when: Callable[[datetime], str]
) -> Any:
    from dash import html

    if not story.told:
        return notices.nothing_here("This session has requests, and no model calls.")
    parts: list[tuple[datetime, int, Any]] = [
        (one.call.created_at, 2, _call(one, call_href, when)) for one in story.told
    ]
    for request in session.requests:
        parts.append((request.created_at, 0, _line(f"{when(request.created_at)}  {request_label(request)}", "request")))
        parts += [
            (step.began, 1, _line(f"step {step.label}", "step tm-bad" if step.failed else "step"))
            for step in steps_of(request)
        ]
    rows = [part for _, _, part in sorted(parts, key=lambda one: one[:2])]
    body = [
        html.Thead(
            html.Tr(
                [
                    html.Th(name, className="tm-right" if index >= _NUMBERS_FROM else None)
                    for index, name in enumerate(_HEAD)
                ]
            )
        ),
        html.Tbody(rows),
    ]
    table = html.Table(body, className="tm-rows tm-story", **aria("Calls in order"))
    return html.Div(table, className="tm-scroll", tabIndex=0)


def _line(text: str, kind: str) -> Any:
    from dash import html

    return html.Tr(html.Td(text, colSpan=len(_HEAD)), className=f"tm-story-{kind}")


def _call(one: Told, call_href: Callable[[Told], str], when: Callable[[datetime], str]) -> Any:
    from dash import dcc, html

    call = one.call
    outcome = call.error_type or call.status if call.status != STATUS_OK else call.finish_reason or call.status
    marks = [f"attempt {call.attempt}"] if call.attempt and call.attempt > 1 else []
    marks += [f"loop {one.loop}"] if one.loop else []
    grown = "" if one.grown_by is None else f"{one.grown_by:+,}"
    money = f"{'≥ ' if one.running_is_partial else ''}{formats.money(one.running_usd)}"
    numbers = (
        formats.NOTHING if call.input_tokens is None else formats.count(call.input_tokens),
        grown,
        formats.NOTHING if call.output_tokens is None else formats.count(call.output_tokens),
        formats.duration(call.latency_ms),
    )
    running: dict[str, Any] = {"data-value": f"{one.running_usd:f}"}
    return html.Tr(
        [
            html.Td(str(one.number), className="tm-muted"),
            html.Td(dcc.Link(when(call.created_at), href=call_href(one), className="tm-link")),
            html.Td(call.model, className="tm-story-model", title=call.model),
            html.Td(" · ".join([outcome, *marks]), className="" if call.status == STATUS_OK else "tm-bad"),
            *[html.Td(text, className="tm-right") for text in numbers],
            html.Td(
                formats.money(call.cost_usd),
                className="tm-right",
                title="" if call.cost_usd is None else f"{call.cost_usd:f}",
            ),
            html.Td(money, className="tm-right tm-running", title=f"{one.running_usd:f} USD", **running),
        ],
        className="tm-looped" if one.loop else None,
    )
