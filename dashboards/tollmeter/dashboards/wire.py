"""How a page's cards are filled: one wrapper from the address to what is shown.

A reading function gets what was asked and returns what a card shows. The wrapper reads the address, the window and the
viewer; keeps what was shown while it works, with a thin bar; and turns a failure into a note inside that card, with a
retry and a reference into the log.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tollmeter.dashboards.components import card as cards
from tollmeter.dashboards.components import notices
from tollmeter.dashboards.dimensions import DIMENSIONS
from tollmeter.dashboards.prepare.colours import Palette, palette
from tollmeter.dashboards.queries import cube, seen
from tollmeter.dashboards.selection import Selection, parse_search
from tollmeter.dashboards.window import Window, previous, utc_now, window
from tollmeter.model.errors import CancelledError, TollmeterError, UsageError

if TYPE_CHECKING:
    from dash import Dash

    from tollmeter.dashboards.access import Viewer
    from tollmeter.dashboards.lake import Lake

log: Final = logging.getLogger(__name__)
_LONGEST_MESSAGE: Final = 240
URL, TICK, REFRESH, TAB = "url", "tick", "refresh", "tab"
"""Elements of the shell: the address, the clock, the button that asks anew, the name of the browser's tab."""
OPENED: Final = "opened"
"""Whether this tab has shown a page already: the first one may be the viewer's default view."""
_NAMESPACE: Final = "tollmeter"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader of a page asked for, and who they are."""

    lake: Lake
    selection: Selection
    window: Window
    before: Window
    viewer: Viewer

    @property
    def group(self) -> str:
        """The dimension that is grouped by, in words; empty without one."""
        return DIMENSIONS[self.selection.group].label.lower() if self.selection.group else ""

    def ask(self, group: str = "", **more: Any) -> cube.Ask:
        """The question to the cube of this period, by a dimension or by none; `more` are its further parts."""
        return cube.Ask(self.window, self.viewer, group, self.selection.filters, **more)

    def ask_before(self, group: str = "", **more: Any) -> cube.Ask:
        """The same of the period before."""
        return replace(self.ask(group, **more), window=self.before)

    def palette(self, dimension: str) -> Palette:
        """The colours of a dimension's values, whatever is filtered."""
        return palette(seen.in_order_of_appearance(self.lake, self.viewer, dimension))

    def link(self, selection: Selection | None = None, path: str | None = None) -> str:
        """The address of a selection, of this page or another one; another page's drops what this one keeps.

        Relative, so that it holds behind a path prefix too.
        """
        chosen = selection or self.selection
        return f"./{path}{chosen.shared().search()}" if path is not None else chosen.search() or "?"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a card shows: its body, and a caption beside the title."""

    body: Any
    caption: str = ""


class Address(NamedTuple):
    """Where a tab of a browser stands; the query string is None before the browser has told it."""

    path: str | None
    tab: str
    search: str | None


Read = Callable[..., Shown | Sequence[Shown]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page: `path` is the last part of its address, empty for the first one; `icon` a class of the style sheet.

    `layout` makes its frame without reading anything, `register` connects it. `own` are names in the address that it
    keeps for itself. A page that `needs_calls` is hidden where the selection holds none, and the notice says why.
    """

    path: str
    title: str
    icon: str
    layout: Callable[[], Any]
    register: Callable[[Wire], None]
    own: tuple[str, ...] = ()
    needs_calls: bool = True

    def is_at(self, pathname: str | None) -> bool:
        """Whether an address's path is this page's, behind whatever prefix.

        >>> Page("cost", "Cost", "cost", dict, print).is_at("/somewhere/cost")
        True
        """
        return (pathname or "/").rpartition("/")[2] == self.path


class Wire:
    """Connects the cards of one page to the lake."""

    def __init__(self, app: Dash, lake: Lake, page: Page, zone: str) -> None:
        self.app, self.lake, self.page, self.zone = app, lake, page, zone

    def card(self, name: str, read: Callable[..., Shown], *extra: Any) -> None:
        """Fill one card by `read(asked, *values)`; `extra` are further inputs and states, whose values it is given."""
        self.cards((name,), read, *extra)

    def cards(self, names: Sequence[str], read: Read, *extra: Any) -> None:
        """Fill several cards from one reading, which returns as many `Shown` in their order."""
        from dash import Input, Output, State

        outputs = [Output(part, prop) for name in names for part, prop in cards.filled(name)]
        inputs = [Input(URL, "search"), Input(TICK, "n_intervals"), Input(REFRESH, "n_clicks")]
        inputs += [Input(cards.retry(name), "n_clicks") for name in names]
        known = [State(URL, "pathname"), State(TAB, "data")]
        running = [(Output(cards.bar(name), "className"), cards.BUSY, cards.IDLE) for name in names]

        def answer(*values: Any) -> list[Any]:
            count = len(inputs)
            address = Address(values[count], values[count + 1], values[0])
            return self._answer(names, read, address, values[count + 2 :])

        self.app.callback(outputs, inputs, known, *extra, running=running)(answer)
        buttons = [Input(cards.cancel(name), "n_clicks") for name in names]
        self.app.callback(*buttons, State(TAB, "data"), prevent_initial_call=True)(
            lambda *values: self._cancel(values[-1], names)
        )

    def drill(self, graph: str) -> None:
        """A click on a point of a graph sets the filter that its trace names (`figures.drill`)."""
        from dash import Input, Output, State

        in_browser(
            self.app,
            "drill",
            Output(URL, "search", allow_duplicate=True),
            Input(graph, "clickData"),
            State(graph, "figure"),
            State(URL, "search"),
        )

    def asked(self, search: str | None) -> Asked:
        """What an address of this page asks, by whoever sends the request that is being answered."""
        return asked(self.lake, self.zone, search, self.page.own)

    def _answer(self, names: Sequence[str], read: Read, address: Address, rest: Sequence[Any]) -> list[Any]:
        from dash.exceptions import PreventUpdate

        # The address is not known before the browser has told it, and a page that is being left has nothing to read.
        if address.search is None or not self.page.is_at(address.path):
            raise PreventUpdate
        try:
            question = self.asked(address.search)
            # What this tab asked for the same cards before is of no use any more.
            token = self._cancel(address.tab, names)
            with self.lake.cancellable(question.viewer, token):
                shown = read(question, *rest)
        except PreventUpdate:
            raise
        except CancelledError:
            return [part for name in names for part in cards.failed(notices.cancelled(name))]
        except Exception as error:  # noqa: BLE001 - whatever fails stays inside its card
            return [part for name in names for part in _failed(name, error)]
        each = (shown,) if isinstance(shown, Shown) else shown
        return [part for one in each for part in cards.contents(one.body, one.caption)]

    def _cancel(self, tab: str, names: Sequence[str]) -> str:
        """End what a tab asks for some cards; the token it is asked under."""
        from tollmeter.dashboards.access import viewer

        token = f"{tab}:{names[0]}"
        self.lake.cancel(viewer(), token)
        return token


def in_browser(app: Dash, function: str, *parts: Any, prevent_initial_call: bool = True) -> None:
    """A callback that asks no server: a function of `assets/`; `parts` are outputs, inputs and states."""
    from dash import ClientsideFunction

    called = ClientsideFunction(_NAMESPACE, function)
    app.clientside_callback(called, *parts, prevent_initial_call=prevent_initial_call)  # type: ignore[no-untyped-call] # dash types its other callbacks alone


def search_fields(wire: Wire, *fields: str) -> None:
    """Text fields of a page and the address say the same; `assets/tollmeter_tables.js` has their names in it."""
    from dash import Input, Output, State

    in_browser(
        wire.app, "shown", *[Output(name, "value") for name in fields], Input(URL, "search"), prevent_initial_call=False
    )
    in_browser(
        wire.app,
        "typed",
        Output(URL, "search", allow_duplicate=True),
        *[Input(name, "value") for name in fields],
        State(URL, "search"),
    )


def asked(lake: Lake, zone: str, search: str | None, own: tuple[str, ...] = ()) -> Asked:
    """What an address asks, by whoever sends the request that is being answered."""
    from tollmeter.dashboards.access import viewer

    selection = parse_search(search, own)
    span = window(selection, utc_now(), zone)
    return Asked(lake, selection, span, previous(span, selection), viewer())


def failure(error: Exception) -> tuple[str, str]:
    """Log a failure; its reference and what the reader is told.

    What an engine says stays in the log: it may repeat a value of a row that the reader must not see.
    """
    reference = uuid.uuid4().hex[:8]
    log.error("reading for the dashboard failed, reference %s", reference, exc_info=error)
    if isinstance(error, UsageError):
        return reference, str(error)[:_LONGEST_MESSAGE]
    known = "The lake could not answer" if isinstance(error, TollmeterError) else "Unexpected"
    return reference, f"{known}; details are in the log."


def _failed(name: str, error: Exception) -> list[Any]:
    return cards.failed(notices.failure(name, *failure(error)))
