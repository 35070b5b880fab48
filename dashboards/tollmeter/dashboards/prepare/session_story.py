"""One session told in order: what it had cost after each call, how its context grew, where it went round in circles."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.queries.calls import CallStep
from tollmeter.dashboards.queries.sessions import SessionRequest

LOOP_FROM: Final = 3
"""So many calls with the same prompt in a row are a loop."""
_EMBEDDINGS: Final = "embeddings"


@dataclass(frozen=True, slots=True)
class Told:
    """One call of a session: its number, the cost of all calls up to it, and how much its context grew."""

    number: int
    call: CallStep
    running_usd: Decimal
    running_is_partial: bool
    grown_by: int | None
    loop: int = 0
    """Number of the loop it belongs to, from 1; 0 where it belongs to none."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Calls with the same prompt in a row: numbers of the first and last, what they cost, and how that is known."""

    first: int
    last: int
    model: str
    input_tokens: int | None
    cost_usd: Decimal | None
    is_proven: bool

    @property
    def sentence(self) -> str:
        """The loop in words."""
        count = self.last - self.first + 1
        size = f"{formats.count(self.input_tokens)} input tokens" if self.input_tokens is not None else "unknown size"
        what = "the same prompt" if self.is_proven else "prompts of the same size, likely the same one"
        cost = f", {formats.money(self.cost_usd)}" if self.cost_usd is not None else ""
        return f"calls {self.first} to {self.last}: {count} times {what} ({self.model}, {size}){cost}"


@dataclass(frozen=True, slots=True)
class Share:
    """One part of what a session cost."""

    name: str
    calls: int
    cost_usd: Decimal
    share: float


@dataclass(frozen=True, slots=True)
class Story:
    """A session in order; `total_usd` is the exact sum of the calls told, None where none has a known cost."""

    told: tuple[Told, ...]
    loops: tuple[Loop, ...]
    shares: tuple[Share, ...]
    total_usd: Decimal | None
    unpriced: int
    longest_context: int | None


def story(calls: Sequence[CallStep]) -> Story:
    """What happened in a session, from its calls in order."""
    loops = _loops(calls)
    told = _told(calls, loops)
    known = [call.cost_usd for call in calls if call.cost_usd is not None]
    contexts = [call.input_tokens for call in calls if call.input_tokens is not None and _speaks(call)]
    return Story(
        told,
        loops,
        _shares(calls),
        sum(known, Decimal(0)) if known else None,
        len(calls) - len(known),
        max(contexts, default=None),
    )


def _told(calls: Sequence[CallStep], loops: Sequence[Loop]) -> tuple[Told, ...]:
    told: list[Told] = []
    running, partial, before = Decimal(0), False, None
    for number, call in enumerate(calls, start=1):
        running += call.cost_usd or Decimal(0)
        partial = partial or call.cost_usd is None
        context = call.input_tokens if _speaks(call) else None
        grown = context - before if context is not None and before is not None else None
        before = context if context is not None else before
        loop = next((index for index, one in enumerate(loops, start=1) if one.first <= number <= one.last), 0)
        told.append(Told(number, call, running, partial, grown, loop))
    return tuple(told)


def _speaks(call: CallStep) -> bool:
    return call.operation != _EMBEDDINGS


def _loops(calls: Sequence[CallStep]) -> tuple[Loop, ...]:
    """Runs of calls whose prompt is the same: by its digest where content is recorded, else by model, name and size.

    A retry of a call that failed is no new call, and an embedding is no prompt: neither makes a loop, nor breaks one.
    """
    counted = [
        (number, call)
        for number, call in enumerate(calls, start=1)
        if _speaks(call) and not (call.attempt and call.attempt > 1) and (call.input_tokens or call.content_digest)
    ]
    found = []
    for _, group in groupby(counted, key=lambda one: _prompt(one[1])):
        members = list(group)
        if len(members) >= LOOP_FROM:
            found.append(_loop(members))
    return tuple(found)


def _prompt(call: CallStep) -> tuple[str, ...]:
    if call.content_digest:
        return call.model, call.content_digest
    return call.model, call.prompt_name, call.prompt_version, str(call.input_tokens)


def _loop(members: Sequence[tuple[int, CallStep]]) -> Loop:
    first, call = members[0]
    costs = [one.cost_usd for _, one in members if one.cost_usd is not None]
    cost = sum(costs, Decimal(0)) if costs else None
    return Loop(first, members[-1][0], call.model, call.input_tokens, cost, bool(call.content_digest))


def _shares(calls: Iterable[CallStep]) -> tuple[Share, ...]:
    """Where the money went, by what the calls were for and the model that answered; the dearest first."""
    totals: dict[str, tuple[int, Decimal]] = {}
    for call in calls:
        what = call.prompt_name or call.feature or call.operation or "calls"
        name = f"{what} · {call.model}"
        count, cost = totals.get(name, (0, Decimal(0)))
        totals[name] = (count + 1, cost + (call.cost_usd or Decimal(0)))
    whole = sum((cost for _, cost in totals.values()), Decimal(0))
    shares = [Share(name, count, cost, float(cost / whole) if whole else 0.0) for name, (count, cost) in totals.items()]
    return tuple(sorted(shares, key=lambda one: (-one.cost_usd, one.name)))


@dataclass(frozen=True, slots=True)
class Step:
    """One named span of a request: when it began (UTC), and what is to be said of it."""

    began: datetime
    label: str
    failed: bool


def steps_of(request: SessionRequest) -> list[Step]:
    """The steps of a request in order; none where they are no list of steps.

    >>> from datetime import datetime
    >>> told = '[{"name": "retrieve", "start_ms": 5, "duration_ms": 20.0}]'
    >>> steps_of(SessionRequest(datetime(2026, 1, 1), "", "chat", "r1", "/", "POST", 200, "", 1.0, told))[0].label
    'retrieve · 20 ms'
    """
    found = json.loads(request.steps or "[]")
    steps = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return sorted((_step(request, one) for one in steps), key=lambda one: one.began)


def _step(request: SessionRequest, step: dict[str, Any]) -> Step:
    error = str(step.get("error_type") or "")
    parts = (str(step.get("name", "")), error, formats.duration(_number(step.get("duration_ms"))))
    began = request.created_at + timedelta(milliseconds=_number(step.get("start_ms")))
    return Step(began, " · ".join(part for part in parts if part), bool(error))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def request_label(request: SessionRequest) -> str:
    """A request as a heading between its calls.

    >>> from datetime import datetime
    >>> request_label(SessionRequest(datetime(2026, 1, 1), "", "chat", "r1", "/chat", "POST", 200, "", 1500.0, None))
    'POST /chat · 200 · 1.50 s'
    """
    name = " ".join(part for part in (request.method, request.route) if part) or request.request_id
    parts = (name, str(request.status_code or ""), request.error_type, formats.duration(request.duration_ms))
    return " · ".join(part for part in parts if part)
