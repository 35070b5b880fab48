"""Conversations and agent runs: a page of them, and one with its calls and requests in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from tollmeter.dashboards.queries.calls import CallStep, Direction
from tollmeter.dashboards.queries.event_days import Days
from tollmeter.dashboards.queries.plan import conditions

if TYPE_CHECKING:
    from tollmeter.dashboards.access import Viewer
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.selection import Filters

Sort = Literal["cost", "calls", "errors", "tokens", "duration", "last"]

FILTERS: Final = ("model", "provider", "service", "environment", "tenant", "team", "user", "session")
"""Dimensions that the rollup of sessions carries; a filter by another cannot hold here, and the page says so."""
MOST_CALLS: Final = 2000
_REACH: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One conversation or agent run within the days asked for; times are UTC."""

    session_id: str
    tenant_id: str
    user_id: str
    users: int
    service: str
    first_at: datetime
    last_at: datetime
    duration_s: float
    calls: int
    requests: int
    errors: int
    unpriced_calls: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class SessionsCounted:
    """How many sessions there are, their calls, those that failed, and what they cost."""

    sessions: int = 0
    calls: int = 0
    errors: int = 0
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """One request of a session; `steps` is JSON."""

    created_at: datetime
    event_id: str
    service: str
    request_id: str
    route: str
    method: str
    status_code: int | None
    error_type: str
    duration_ms: float | None
    steps: str | None


@dataclass(frozen=True, slots=True)
class WholeSession:
    """A session's calls and requests in order; `known` is its sum over all of its days, also of calls not shown."""

    session_id: str
    known: SessionRow
    calls: tuple[CallStep, ...]
    requests: tuple[SessionRequest, ...]


@dataclass(frozen=True, slots=True)
class SessionsAsked:
    """Which sessions: days of the reporting time zone, filters, a part of their names, and who asks."""

    days: Days
    filters: Filters
    text: str
    viewer: Viewer

    def parameters(self) -> dict[str, Any]:
        """What `sessions_page` and `sessions_counted` take."""
        return conditions(tuple(one for one in self.filters if one[0] in FILTERS)) | {
            "since": self.days[0], "until": self.days[1], "search": self.text,
        }  # fmt: skip


def page(
    lake: Lake, asked: SessionsAsked, sort: Sort, direction: Direction, *, offset: int, limit: int
) -> list[SessionRow]:
    """Some rows of the table of sessions."""
    found = lake.rows(
        asked.viewer, "sessions_page", sort=sort, direction=direction, offset=offset, limit=limit, **asked.parameters()
    )
    return [SessionRow(**row) for row in found]


def counted(lake: Lake, asked: SessionsAsked) -> SessionsCounted:
    """How many sessions the table has."""
    (row,) = lake.rows(asked.viewer, "sessions_counted", **asked.parameters())
    return SessionsCounted(**row)


def whole(
    lake: Lake, viewer: Viewer, session_id: str, tenant_id: str, *, hint: date | None, otherwise: Days
) -> WholeSession | None:
    """One session with its calls; None where the lake has none that the reader may see.

    The rollup tells on which days it was; rows are read of those days alone. It is looked for in the week around the
    day that the link names, else in the days of the page. Without a tenant it is the one that has none, else any.
    """
    session = ("session", (session_id,))
    of_tenant = [(session, ("tenant", (tenant_id,))), *([] if tenant_id else [(session,)])]
    for days in ([(hint - _REACH, hint + _REACH)] if hint else []) + [otherwise]:
        for filters in of_tenant:
            found = page(lake, SessionsAsked(days, filters, "", viewer), "cost", "desc", offset=0, limit=1)
            if found:
                return _with_calls(lake, viewer, found[0])
    return None


def _with_calls(lake: Lake, viewer: Viewer, known: SessionRow) -> WholeSession:
    same = {
        "session": known.session_id, "tenant": known.tenant_id, "since": known.first_at.date(),
        "until": known.last_at.date(),  "limit": MOST_CALLS,
    }  # fmt: skip
    calls = tuple(CallStep(**row) for row in lake.rows(viewer, "calls_of_session", **same))
    requests = tuple(SessionRequest(**row) for row in lake.rows(viewer, "requests_of_session", **same))
    return WholeSession(known.session_id, known, calls, requests)
