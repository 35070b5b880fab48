"""One call, whole: what it cost and why, how long it took, what happened around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tollmeter.dashboards.components import facts
from tollmeter.dashboards.prepare import call_cost, call_facts, formats
from tollmeter.dashboards.prepare.call_cost import CostSum
from tollmeter.dashboards.prepare.timeline import timeline
from tollmeter.dashboards.prepare.trace_links import TraceLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollmeter.dashboards.prepare.call_facts import Fact
    from tollmeter.dashboards.queries.calls import Score, WholeCall


def view(
    call: WholeCall,
    when: str,
    *,
    links: Sequence[tuple[str, str]],
    traces: Sequence[TraceLink],
    filter_href: Callable[[Fact], str],
    call_href: Callable[[str, str], str],
) -> Any:
    """The call; `when` is its beginning on the clocks of the zone, `links` lead within the dashboard."""
    from dash import html

    row = call.row
    cost = call_cost.cost_sum(row)
    line = timeline(call.request, call.siblings, row["event_id"])
    return html.Div(
        [
            _head(row, cost, when),
            _links(links, traces),
            facts.section("Cost", *_cost(row, cost)),
            facts.section("Latency", facts.split(call_facts.latency_parts(row)), _muted(call_facts.speed(row))),
            facts.section("Request", facts.timeline(line, call_href)) if line.bars else None,
            facts.section("Outcome", facts.facts(call_facts.outcome(row), filter_href)),
            facts.section("Scores", _scores(call.scores)),
            facts.section("Attribution", facts.facts(call_facts.attribution(row), filter_href)),
            facts.section("Tags", facts.facts(call_facts.tags(row), lambda _: "")),
            facts.section("Identity", facts.facts(call_facts.identity(row), lambda _: "")),
            facts.section("Recorded text", *_content(row)),
            facts.folded("Row of the lake as JSON", facts.written(call_facts.raw_json(row))),
        ],
        className="tm-detail",
        id="calls-detail",
    )


def _head(row: Any, cost: CostSum, when: str) -> Any:
    from dash import html

    model = row["response_model"] or row["request_model"] or "(unknown)"
    status = row["status"] or ""
    exact: dict[str, Any] = {"data-value": cost.total.lstrip("$")}
    return html.Div(
        [
            html.H2(model, className="tm-detail-title"),
            html.Div(
                [
                    html.Span(status, className=f"tm-badge tm-badge-{status}"),
                    html.Span(formats.money(row["cost_usd"]), id="calls-cost", **exact),
                    html.Span(formats.duration(row["latency_ms"])),
                    html.Span(when, className="tm-muted"),
                ],
                className="tm-detail-line",
            ),
        ]
    )


def _links(links: Sequence[tuple[str, str]], traces: Sequence[TraceLink]) -> Any:
    from dash import dcc, html

    inside = [dcc.Link(text, href=href, className="tm-link") for text, href in links]
    outside = [
        html.A(
            f"Trace in {one.name} ↗",
            href=one.href,
            target="_blank",
            rel="noopener noreferrer",
            className="tm-link",
        )
        for one in traces
    ]
    return html.Div([*inside, *outside], className="tm-links")


def _cost(row: Any, cost: CostSum) -> list[Any]:
    from dash import html

    rows: list[tuple[Any, ...]] = [
        (
            html.Span(one.name, className="tm-sub" if one.part_of else None),
            formats.count(one.tokens) if one.tokens is not None else formats.NOTHING,
            call_cost.exact(one.cost_usd) if one.cost_usd is not None and one.tokens else "",
            one.rate,
        )
        for one in call_cost.token_classes(row)
    ]
    if row["fees_usd"]:
        rows.append((f"Fees {call_cost.fees_text(row)}", "", call_cost.exact(row["fees_usd"]), ""))
    prices = [
        html.Li([one.name, html.Span(f", {one.validity}", className="tm-muted")])
        for one in call_cost.price_rows(row["price_ref"] or "")
    ]
    return [
        facts.table(("Tokens", "count", "cost", "rate"), rows, "Tokens by class"),
        html.Div(cost.text, className="tm-sum", id="calls-sum-text") if cost.text else None,
        _muted("" if cost.adds_up else "the recorded parts do not add up to the recorded cost"),
        _muted(" · ".join(part for part in (f"{cost.status}: {cost.meaning}", call_cost.saving_text(row)) if part)),
        html.Div(["Priced by", html.Ul(prices, className="tm-prices")]) if prices else None,
    ]


def _scores(scores: Sequence[Score]) -> Any:
    if not scores:
        return None
    rows = [(one.name, f"{one.score:g}", one.evaluator, one.comment) for one in scores]
    return facts.table(("Score", "value", "by", "comment"), rows, "Evaluations", numbers_from=9)


def _content(row: Any) -> list[Any]:
    parts = (("Asked", row["input_content"]), ("Answered", row["output_content"]))
    return [facts.folded(name, facts.written(text)) for name, text in parts if text]


def _muted(text: str) -> Any:
    from dash import html

    return html.Div(text, className="tm-muted tm-small") if text else None
