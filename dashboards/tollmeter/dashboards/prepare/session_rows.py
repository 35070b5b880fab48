"""Sessions as rows of their table, and the address of one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, get_args
from urllib.parse import quote

from tollmeter.dashboards.dimensions import dimension
from tollmeter.dashboards.prepare import cells, formats
from tollmeter.dashboards.queries.calls import Direction
from tollmeter.dashboards.queries.sessions import FILTERS, SessionRow, SessionsCounted, Sort
from tollmeter.dashboards.selection import Selection
from tollmeter.dashboards.window import Window

KEY_TEXT, KEY_SORT, KEY_OPEN, KEY_TENANT, KEY_DAY, KEY_PAGE = "q", "sort", "open", "of", "at", "page"
OWN: Final = (KEY_TEXT, KEY_SORT, KEY_OPEN, KEY_TENANT, KEY_DAY, KEY_PAGE)


def grid_rows(sessions: Sequence[SessionRow], selection: Selection, span: Window) -> list[dict[str, Any]]:
    """The rows of the table; each leads to its session."""
    return [
        {
            "key": f"{one.tenant_id}\x1f{one.session_id}",
            "session": one.session_id,
            "href": opened(selection, one),
            "tenant": one.tenant_id,
            "user": one.user_id if one.users < 2 else f"{one.user_id} and {one.users - 1} more",  # noqa: PLR2004
            "service": one.service,
            "calls": one.calls,
            "requests": one.requests,
            "errors": one.errors,
            "tokens": one.input_tokens + one.output_tokens,
            "duration": one.duration_s * 1000,
            "last": span.local(one.last_at).isoformat(sep=" ", timespec="seconds"),
            **cells.money("cost", one.cost_usd),
        }
        for one in sessions
    ]


def opened(selection: Selection, session: SessionRow) -> str:
    """The address of the page with one session open; the day says where in the lake to look."""
    found = selection.with_extra(KEY_OPEN, session.session_id).with_extra(KEY_TENANT, session.tenant_id)
    return found.with_extra(KEY_DAY, session.last_at.date().isoformat()).search()


def from_elsewhere(search: str, session_id: str, tenant_id: str, day: date) -> str:
    """The address of one session from another page, whose own search is given.

    >>> from_elsewhere("?range=7d", "s/1", "", date(2026, 11, 1))
    './sessions?range=7d&open=s%2F1&at=2026-11-01'
    """
    pairs = ((KEY_OPEN, session_id), (KEY_TENANT, tenant_id), (KEY_DAY, day.isoformat()))
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs if value)
    return f"./sessions{search}{'&' if search.startswith('?') and len(search) > 1 else '?'}{text}"


def order(text: str) -> tuple[Sort, Direction]:
    """The table's order as the address has it; the dearest first where it says nothing known.

    >>> order("-calls"), order("last"), order("x")
    (('calls', 'desc'), ('last', 'asc'), ('cost', 'desc'))
    """
    name: Sort | None = next((one for one in get_args(Sort) if one == text.lstrip("-")), None)
    return (name, "desc" if text.startswith("-") else "asc") if name else ("cost", "desc")


def summary(counted: SessionsCounted) -> str:
    """What the whole table amounts to, in one line."""
    if not counted.sessions:
        return "no sessions"
    parts = [
        formats.many(counted.sessions, "session"),
        formats.money(counted.cost_usd),
        formats.many(counted.calls, "call"),
    ]
    if counted.cost_usd is not None:
        parts.append(f"{formats.money(counted.cost_usd / counted.sessions)} each")
    if counted.errors:
        parts.append(formats.many(counted.errors, "failed call"))
    return " · ".join(parts)


def cannot_filter(selection: Selection) -> str:
    """The filters that sessions cannot be told by, in words; empty where all hold."""
    names = [dimension(name).label for name, _ in selection.filters if name not in FILTERS]
    return f"sessions are not told by {', '.join(names)}: that filter does not hold here" if names else ""
