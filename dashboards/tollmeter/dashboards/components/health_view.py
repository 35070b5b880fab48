"""The health of the data as pieces: lights with their rules, quarantined lines as they were read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tollmeter.dashboards.components import facts
from tollmeter.dashboards.prepare import formats

if TYPE_CHECKING:
    from tollmeter.dashboards.prepare.health_states import State
    from tollmeter.dashboards.queries.health import Quarantined


def lights(found: Sequence[State]) -> Any:
    """Every light with its figure, and the rule beside it."""
    from dash import html

    return html.Div([_light(one) for one in found], className="tm-lights")


def _light(state: State) -> Any:
    from dash import html

    word = {"green": "fine", "amber": "look", "red": "act", "none": "not told"}[state.light]
    facts_: dict[str, Any] = {"data-light": state.light, "data-value": state.value}
    return html.Div(
        [
            html.Div(
                [
                    html.Span(className=f"tm-lamp tm-lamp-{state.light}"),
                    html.H3(state.title),
                    html.Span(word, className=f"tm-badge tm-badge-{state.light}"),
                ],
                className="tm-light-head",
            ),
            html.Div(state.value, className="tm-light-value"),
            html.Div(state.detail, className="tm-small"),
            html.Div(state.rule, className="tm-muted tm-light-rule"),
        ],
        id=f"light-{state.key}",
        className="tm-light",
        **facts_,
    )


def quarantine(found: Sequence[Quarantined]) -> Any:
    """Reasons with how often, and the newest lines of each as text."""
    from dash import html

    return html.Div([_reason(one) for one in found], className="tm-detail")


def _reason(one: Quarantined) -> Any:
    from dash import html

    head = f"{one.reason}: {formats.many(one.lines, 'line')} in {formats.many(one.objects, 'object')}"
    examples = [
        html.Div(
            [
                html.Div(f"{line['object_key']}, line {line['line_number']}", className="tm-muted tm-small"),
                html.Div(line["detail"], className="tm-small") if line["detail"] else None,
                facts.written(_cut(line["raw_text"], line["characters"])),
            ]
        )
        for line in one.examples
    ]
    return html.Div([facts.section(head, *examples)])


def _cut(text: str, characters: int) -> str:
    more = characters - len(text)
    shown = "".join(char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text)
    return f"{shown}\n… {formats.count(more)} more characters" if more > 0 else shown
