"""The filter bar: time, comparison, grouping, and a chip for each dimension that is filtered."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.dashboards.components.aria import aria
from tollmeter.dashboards.dimensions import DIMENSIONS, GROUPS, UNGROUPED, dimension
from tollmeter.dashboards.selection import LAST_MONTH, MONTH_TO_DATE, PRESETS, Selection

CHIP: Final = "chip"
_SHORT: Final = {MONTH_TO_DATE: "MTD", LAST_MONTH: "Last month"}
_NAMED: Final = 2
_LONGEST: Final = 32
_MARK: Final = "="


def bar(zone: str) -> Any:
    """The bar before the address is known."""
    from dash import html

    return html.Div(
        [
            html.Button("Filters", id="filters-toggle", className="tm-filters-toggle", **aria(expanded="false")),
            html.Div(
                [
                    html.Div([_presets(), _days(zone), _compare(), _group(), *_add()], className="tm-controls"),
                    html.Div(id="chips", className="tm-chips"),
                ],
                id="filters",
                className="tm-filters",
                role="group",
                **aria("Filters"),
            ),
        ]
    )


def chips(selection: Selection) -> list[Any]:
    """A chip per filtered dimension: its name opens the values, its cross drops it."""
    from dash import dcc, html

    made = []
    for name, values in selection.filters:
        label, text = dimension(name).label, _short_list([dimension(name).text(value) for value in values])
        drop, title = selection.without(name).search() or "?", f"Drop the filter {label}"
        cross = dcc.Link(html.Span(className="tm-icon tm-icon-drop"), href=drop, className="tm-chip-drop", title=title)
        words: list[Any] = [html.Span(f"{label}: ", className="tm-chip-name"), text]
        made.append(html.Span([html.Button(words, id={"type": CHIP, "name": name}), cross], className="tm-chip"))
    return made


def option(name: str, value: str) -> dict[str, str]:
    """A value as the list of values offers it; marked, for the list takes no empty one."""
    return {"value": marked(value), "label": dimension(name).text(value)}


def marked(value: str) -> str:
    """A value as an option's key.

    >>> marked(""), unmarked(marked("gpt-4o"))
    ('=', 'gpt-4o')
    """
    return _MARK + value


def unmarked(key: str) -> str:
    """The value of an option's key."""
    return key.removeprefix(_MARK)


def _presets() -> Any:
    import dash_mantine_components as dmc

    data = [{"value": name, "label": _SHORT.get(name, name)} for name in PRESETS]
    return dmc.SegmentedControl(id="range", data=data, value="", size="xs", className="tm-range", **aria("Time range"))


def _days(zone: str) -> Any:
    import dash_mantine_components as dmc

    return dmc.DatePickerInput(
        id="dates",
        type="range",
        placeholder="Custom days",
        valueFormat="YYYY-MM-DD",
        clearable=True,
        size="xs",
        className="tm-days",
        **aria(f"First and last day, {zone}"),
    )


def _compare() -> Any:
    import dash_mantine_components as dmc

    return dmc.Switch(id="compare", label="Compare with previous", checked=False, size="xs")


def _group() -> Any:
    import dash_mantine_components as dmc

    data = [{"value": name, "label": f"by {DIMENSIONS[name].label.lower()}"} for name in GROUPS]
    return dmc.Select(
        id="group",
        data=[*data, {"value": UNGROUPED, "label": "not grouped"}],
        value="",
        size="xs",
        allowDeselect=False,
        searchable=True,
        className="tm-group",
        **aria("Group charts by"),
    )


def _add() -> tuple[Any, Any]:
    import dash_mantine_components as dmc

    data = [{"value": name, "label": one.label} for name, one in DIMENSIONS.items()]
    which = dmc.Select(
        id="filter-dimension",
        data=data,
        value="",
        size="xs",
        searchable=True,
        placeholder="Filter by …",
        clearable=True,
        className="tm-filter-by",
        **aria("Filter by"),
    )
    values = dmc.MultiSelect(
        id="filter-values",
        data=[],
        value=[],
        searchable=True,
        hidePickedOptions=True,
        clearable=True,
        size="xs",
        placeholder="Values",
        nothingFoundMessage="No such value in this period",
        limit=100,
        className="tm-filter-values",
        **aria("Values to keep"),
    )
    return which, values


def _short_list(texts: list[str]) -> str:
    shown = [text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…" for text in texts[:_NAMED]]
    return ", ".join(shown) + (f" +{len(texts) - _NAMED}" if len(texts) > _NAMED else "")
