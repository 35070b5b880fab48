"""What the page says in words: nothing there yet, a filter that hides all, simulated data, a failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

DEMO: Final = "tollmeter demo"
ETL: Final = "tollmeter etl run"


def no_data() -> Any:
    """The lake holds no call at all: say what to run."""
    return _alert(
        "notice-empty",
        "No model calls in this lake yet",
        [
            _line("Services write events to the spool; the forwarder uploads them; ", _code(ETL), " lands them here."),
            _line("To see the page alive without a service, run ", _code(DEMO), "."),
        ],
        "indigo",
    )


def nothing_found(sentence: str, ways_out: Sequence[tuple[str, str]]) -> Any:
    """The lake holds calls but the selection hides them: `ways_out` are links, as text and address."""
    links = [_link(text, href) for text, href in ways_out]
    return _alert("notice-nothing", sentence, [_links(links)], "indigo")


def nothing_here(sentence: str, *ways_out: tuple[str, str]) -> Any:
    """What a single card says where it has nothing to show, and links out of it."""
    from dash import html

    links = _links([_link(text, href) for text, href in ways_out]) if ways_out else None
    return html.Div([html.Div(sentence), links], className="tm-nothing")


def simulated(fields: tuple[str, ...]) -> Any:
    """Part of what is shown was made up, and which part."""
    return _banner("notice-simulated", "Simulated data", simulated_text(fields))


def simulated_text(fields: tuple[str, ...]) -> str:
    """What was made up, in words; `all` means whole calls.

    >>> simulated_text(("all", "model", "route"))
    'some of the calls shown are made up; of others these are: model, route'
    >>> simulated_text(("model",))
    'in part of the calls shown, these were made up: model'
    """
    some = ", ".join(field for field in fields if field != "all")
    if "all" not in fields:
        return f"in part of the calls shown, these were made up: {some}"
    return "some of the calls shown are made up" + (f"; of others these are: {some}" if some else "")


def problems(texts: Sequence[str]) -> Any:
    """Parts of the address that were not understood."""
    return _banner("notice-problems", "Part of the address was left out", "; ".join(texts))


def failure(name: str, reference: str, message: str) -> Any:
    """A card could not be read; the reference finds the details in the log."""
    hint = f"Reference {reference}, as in the log of this server."
    return _alert(f"{name}-error", "Could not be read", [_line(message), _line(hint)], "red")


def cancelled(name: str) -> Any:
    """A card's reading was cancelled by the reader."""
    return _alert(f"{name}-cancelled", "Cancelled", [_line("What was shown before stays.")], "gray")


def _alert(name: str, title: str, body: list[Any], colour: str) -> Any:
    import dash_mantine_components as dmc

    return dmc.Alert(body, id=name, title=title, color=colour, variant="light", className="tm-alert")


def _banner(name: str, title: str, text: str) -> Any:
    from dash import html

    return html.Div([html.Strong(title), html.Span(text)], id=name, className="tm-banner", role="status")


def _line(*parts: Any) -> Any:
    from dash import html

    return html.Div(list(parts))


def _code(text: str) -> Any:
    import dash_mantine_components as dmc

    return dmc.Code(text)


def _links(links: list[Any]) -> Any:
    from dash import html

    return html.Div(links, className="tm-links")


def _link(text: str, href: str) -> Any:
    from dash import dcc

    return dcc.Link(text, href=href, className="tm-link")
