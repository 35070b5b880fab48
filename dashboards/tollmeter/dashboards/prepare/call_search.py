"""What a reader types into the search of calls, as the query takes it."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final, get_args

from tollmeter.dashboards.queries.calls import Direction, Search, Sort
from tollmeter.dashboards.selection import Selection

KEY_TEXT, KEY_MIN_COST, KEY_MIN_LATENCY = "q", "min_cost", "min_latency"
KEY_SORT: Final = "sort"
"""What the address says of the table's order: a name of `Sort`, `-` before it for descending."""
KEY_CALL, KEY_DAY = "call", "at"
NARROWING: Final = (KEY_TEXT, KEY_MIN_COST, KEY_MIN_LATENCY)
"""Names in the address that leave some calls out, so that an export heeds them."""
OWN: Final = (*NARROWING, KEY_SORT, KEY_CALL, KEY_DAY)

_XRAY: Final = re.compile(r"(?:Root=)?1-([0-9a-f]{8})-([0-9a-f]{24})")
_HEX: Final = re.compile(r"[0-9A-Fa-f-]{32,36}")
_MOST: Final = Decimal(10**6)
_MOST_TEXT: Final = 256


def search_text(typed: str) -> str:
    """The text to look for: an X-Ray trace id as the lake spells it, ids in lower case, anything else trimmed.

    >>> search_text(" 1-5759e988-bd862e3fe1be46a994272793 ")
    '5759e988bd862e3fe1be46a994272793'
    """
    text = typed.replace("\0", "").strip()[:_MOST_TEXT]
    if match := _XRAY.fullmatch(text.lower()):
        return match[1] + match[2]
    return text.lower() if _HEX.fullmatch(text) else text


def amount(typed: str) -> str:
    """A number that was typed, as the query takes it; empty where it is none, negative, or beyond what a call can be.

    >>> amount("$0.05"), amount("1e-3"), amount("-1"), amount("lots")
    ('0.05', '0.001', '', '')
    """
    try:
        value = Decimal(typed.strip().lstrip("$").replace(",", ""))
    except InvalidOperation:
        return ""
    # The column holds twelve decimals; a longer number would not fit its type on every engine.
    return f"{value:.12f}".rstrip("0").rstrip(".") if value.is_finite() and 0 < value < _MOST else ""


def milliseconds(typed: str) -> str:
    """A duration that was typed: `1500`, `1500ms`, `1.5s` or `2min`, in ms; empty where it is none.

    >>> milliseconds("1.5 s"), milliseconds("250"), milliseconds("2min"), milliseconds("soon")
    ('1500', '250', '120000', '')
    """
    match = re.fullmatch(r"\s*([\d.]{1,15})\s*(ms|s|min)?\s*", typed.lower())
    if match is None or match[1].count(".") > 1 or match[1] == ".":
        return ""
    value = Decimal(match[1]) * {"ms": 1, "s": 1000, "min": 60_000}[match[2] or "ms"]
    return f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"


def order(text: str) -> tuple[Sort, Direction]:
    """The table's order as the address has it; newest first where it says nothing known.

    >>> order("-cost"), order("latency"), order("bogus")
    (('cost', 'desc'), ('latency', 'asc'), ('time', 'desc'))
    """
    name: Sort | None = next((one for one in get_args(Sort) if one == text.lstrip("-")), None)
    return (name, "desc" if text.startswith("-") else "asc") if name else ("time", "desc")


def search(selection: Selection) -> Search:
    """What the table is asked beside the filters, as the address says."""
    sort, direction = order(selection.get(KEY_SORT))
    text, cost, latency = (selection.get(name) for name in NARROWING)
    return Search(search_text(text), amount(cost), milliseconds(latency), sort, direction)
