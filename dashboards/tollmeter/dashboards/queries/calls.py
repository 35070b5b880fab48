"""Model calls one by one: a page of the table, and all that is known of a single one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from tollmeter.dashboards.queries.event_days import Days, Row, around, days_of_id
from tollmeter.dashboards.queries.plan import conditions, listed

if TYPE_CHECKING:
    from tollmeter.dashboards.access import Viewer
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.selection import Filters

Sort = Literal["time", "cost", "latency", "ttft", "input", "output"]
Direction = Literal["desc", "asc"]

_FIRST_LOOK: Final = timedelta(days=1)
_GROWTH: Final = 6
_SCORED_FOR_DAYS: Final = 31
_LONGEST_REQUEST_DAYS: Final = 1


@dataclass(frozen=True, slots=True)
class Search:
    """What the table is asked beside the filters; empty texts ask nothing.

    `text` is an id, or a part of session, user, error or model. `min_cost` is in USD, `min_latency` in ms.
    """

    text: str = ""
    min_cost: str = ""
    min_latency: str = ""
    sort: Sort = "time"
    direction: Direction = "desc"

    def parameters(self) -> dict[str, str]:
        """What it leaves of the calls, as the queries of calls take it."""
        return {"search": self.text, "min_cost": self.min_cost, "min_latency": self.min_latency}


@dataclass(frozen=True, slots=True)
class CallRow:
    """One model call as the table shows it; times are UTC, None is unknown."""

    created_at: datetime
    event_id: str
    event_date: date
    request_id: str
    trace_id: str
    session_id: str
    user_id: str
    tenant_id: str
    team: str
    feature: str
    service: str
    route: str
    provider: str
    model: str
    status: str
    error_type: str
    http_status: int | None
    attempt: int | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    latency_ms: float | None
    ttft_ms: float | None
    cost_usd: Decimal | None
    cost_status: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How many calls there are, those that failed, those without a price, and what the others cost."""

    calls: int = 0
    errors: int = 0
    unpriced_calls: int = 0
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CallStep:
    """One model call as a part of a request or session."""

    created_at: datetime
    event_id: str
    event_date: date
    service: str
    request_id: str
    span_id: str
    parent_span_id: str
    tenant_id: str
    user_id: str
    feature: str
    route: str
    prompt_name: str
    prompt_version: str
    operation: str
    model: str
    status: str
    error_type: str
    http_status: int | None
    attempt: int | None
    fallback_from: str
    cache_hit: bool | None
    finish_reason: str
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    content_digest: str
    latency_ms: float | None
    ttft_ms: float | None
    cost_usd: Decimal | None
    cost_status: str


@dataclass(frozen=True, slots=True)
class Score:
    """One evaluation of a call."""

    created_at: datetime
    event_id: str
    call_id: str
    name: str
    score: float
    evaluator: str
    comment: str


@dataclass(frozen=True, slots=True)
class WholeCall:
    """A call with all columns of the lake, the request it was made in, that request's calls in order, and scores."""

    row: Row
    request: Row | None
    siblings: tuple[CallStep, ...]
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which calls: a span (UTC), filters, a search, and who asks."""

    since: datetime
    until: datetime
    filters: Filters
    search: Search
    viewer: Viewer

    def parameters(self) -> dict[str, str]:
        """What `calls_page` and `calls_counted` take besides the span."""
        return conditions(self.filters) | self.search.parameters()


def page(lake: Lake, asked: Asked, offset: int, limit: int) -> list[CallRow]:
    """Some rows of the table. By time, the newest days are read first, and older ones only until the page is full."""
    found: list[Row] = []
    for since, until in _looks(asked):
        found = lake.rows(
            asked.viewer, "calls_page", since=since, until=until, sort=asked.search.sort,
            direction=asked.search.direction, offset=offset, limit=limit, **asked.parameters(),
        )  # fmt: skip
        if len(found) == limit:
            break
    return [CallRow(**row) for row in found]


def _looks(asked: Asked) -> Iterator[tuple[datetime, datetime]]:
    """Spans to look through in turn, each holding the one before; the last is all that was asked."""
    length = _FIRST_LOOK
    while asked.search.sort == "time" and length < asked.until - asked.since:
        newest = asked.search.direction == "desc"
        yield (asked.until - length, asked.until) if newest else (asked.since, asked.since + length)
        length *= _GROWTH
    yield asked.since, asked.until


def counted(lake: Lake, asked: Asked) -> Counted:
    """How many calls the table has."""
    (row,) = lake.rows(asked.viewer, "calls_counted", since=asked.since, until=asked.until, **asked.parameters())
    return Counted(**row)


def whole(lake: Lake, viewer: Viewer, event_id: str, hint: date | None, otherwise: Days) -> WholeCall | None:
    """All that is known of one call; None where the lake has none that the reader may see.

    No index finds an id, so days are looked through: the one that the link names, else those that the id's own time
    tells, at last those of the page.
    """
    found = _row(lake, viewer, event_id, hint, otherwise)
    if found is None:
        return None
    day: date = found["event_date"]
    last = around(day, _SCORED_FOR_DAYS)[1]
    scored = lake.rows(viewer, "evaluations_of_calls", calls=listed([event_id]), since=day, until=last)
    request, siblings = _request(lake, viewer, found) if found["request_id"] else (None, ())
    return WholeCall(found, request, siblings, tuple(Score(**row) for row in scored))


def _row(lake: Lake, viewer: Viewer, event_id: str, hint: date | None, otherwise: Days) -> Row | None:
    told = days_of_id(event_id)
    for days in ([around(hint)] if hint else []) + ([told] if told else []) + [otherwise]:
        found = lake.rows(viewer, "call_by_id", call=event_id, since=days[0], until=days[1])
        if found:
            return found[0]
    return None


def _request(lake: Lake, viewer: Viewer, call: Row) -> tuple[Row | None, tuple[CallStep, ...]]:
    since, until = around(call["event_date"], _LONGEST_REQUEST_DAYS)
    same = {"request": call["request_id"], "service": call["service"], "since": since, "until": until}
    requests = lake.rows(viewer, "request_of_call", **same)
    steps = lake.rows(viewer, "calls_of_request", **same)
    return (requests[0] if requests else None), tuple(CallStep(**row) for row in steps)
