"""`spend_limit`: a model call past it is refused before it is sent."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from contextvars import ContextVar
from decimal import Decimal, InvalidOperation
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self, get_args

from tollmeter.instrumentation import on_demand
from tollmeter.instrumentation.context import CARRIED
from tollmeter.instrumentation.guard import logger, losses
from tollmeter.model.errors import SettingError, SpendLimitError
from tollmeter.model.names import STATUS_ERROR, USAGE_MISSING
from tollmeter.pricing.cost import EXACT

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call
    from tollmeter.model.events import LlmCall

OnUnpriced = Literal["allow", "refuse"]

MAX_SESSIONS: Final = 4096
MAX_REFUSED_ROWS: Final = 100
"""Refused calls of one account that become rows; a loop that goes on is counted as a loss, it cannot fill the disk."""

_ZERO: Final = Decimal(0)

limits_in_force: ContextVar[tuple[spend_limit, ...]] = ContextVar("tollmeter_spend_limits", default=())
"""Outermost first."""
CARRIED.append(limits_in_force)

_admission: Final = threading.Lock()
"""Held to admit a call under all of its limits at once; never waited for by a call that ends, see `Account.settle`."""


class Account:
    """What was spent under a limit, shared by every task and thread below it."""

    __slots__ = (
        "_held", "_settled", "calls", "held_usd", "largest_usd", "opened", "refused_calls", "spent_usd",
        "unpriced_calls",
    )  # fmt: skip

    def __init__(self) -> None:
        self.spent_usd = _ZERO
        self.held_usd = _ZERO
        self.largest_usd = _ZERO
        self.calls = 0
        self.refused_calls = 0
        self.unpriced_calls = 0
        self.opened = 0
        self._held: dict[str, Decimal] = {}
        self._settled: deque[tuple[str, Decimal | None]] = deque()

    def hold(self, call_id: str, at_most: Decimal) -> None:
        """Admit a call; until it ends the most it may cost is held, or what the dearest call so far did."""
        amount = max(at_most, self.largest_usd)
        self._held[call_id] = amount
        self.held_usd = EXACT.add(self.held_usd, amount)
        self.calls += 1

    def settle(self, call_id: str, cost_usd: Decimal | None) -> None:
        """A call has ended; None means that nobody knows what it cost."""
        # A call may end inside the garbage collector, in a thread that holds the lock: so it is queued, never waited.
        self._settled.append((call_id, cost_usd))
        if _admission.acquire(blocking=False):
            try:
                self.fold()
            finally:
                _admission.release()

    def fold(self) -> None:
        """Take over the calls that have ended; the lock is held."""
        while self._settled:
            call_id, cost_usd = self._settled.popleft()
            held = self._held.pop(call_id, None)
            if held is None:
                self.calls += 1  # seen only when it was over, so it was never asked
            else:
                self.held_usd = EXACT.subtract(self.held_usd, held)
            if cost_usd is None:
                self.unpriced_calls += 1
            else:
                self.spent_usd = EXACT.add(self.spent_usd, cost_usd)
                self.largest_usd = max(self.largest_usd, cost_usd)


class _Sessions:
    """Accounts by session, the least recently opened forgotten first, never one that is open."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self.lock = threading.Lock()

    def account(self, session: str) -> Account:
        with self.lock:
            account = self._accounts.setdefault(session, Account())
            self._accounts.move_to_end(session)
            while len(self._accounts) > MAX_SESSIONS and self._forget(session):
                losses.add("spend_session_forgotten")
            return account

    def _forget(self, kept: str) -> bool:
        oldest = next((name for name, account in self._accounts.items() if not account.opened and name != kept), None)
        if oldest is not None:
            del self._accounts[oldest]
        return oldest is not None


_sessions: Final = _Sessions()
for _lock in (_admission, _sessions.lock):  # a thread that holds one is not there in a forked child to let go of it
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class spend_limit:  # noqa: N801  reads as a statement: with spend_limit(usd="0.50"):
    """Refuse model calls once some money is spent: `with spend_limit(usd="0.50"): …`, or `async with`.

    A call made inside, through any tap or `llm_call`, raises `SpendLimitError` before it is sent once the calls that
    have ended cost `usd` or more, or `calls` were made (each attempt of a retrying SDK is one). Limits nest: every one
    around a call holds. Tasks and `asyncio.to_thread` made inside are under it too.

    For a call in flight its price at `max_tokens` is held, at least what the dearest call so far cost; so calls in
    parallel are refused early rather than late, and one after the other they pass the limit by one call at most.

    Args:
        usd: USD, as Decimal, int or str; a float is refused, since money is never one.
        calls: how many calls may be made.
        session: name of a conversation or agent run that comes back; what was spent under the same name is
            remembered in this process, for the 4,096 names used last.
        on_unpriced: what to do where the cost of a call cannot be known: `allow` leaves it out of the sum, `refuse`
            takes no model without a price, and nothing more after a call whose cost is unknown.
        name: stands in the message of the error.

    Raises:
        SettingError: neither `usd` nor `calls` is given, or one of them is no amount.

    >>> limit = spend_limit(usd="0.50", calls=20)
    >>> limit.spent_usd, limit.left_usd, limit.calls
    (Decimal('0'), Decimal('0.50'), 0)
    """

    __slots__ = ("_account", "limit_calls", "limit_usd", "name", "on_unpriced")

    def __init__(
        self,
        usd: Decimal | int | str | None = None,
        *,
        calls: int | None = None,
        session: str = "",
        on_unpriced: OnUnpriced = "allow",
        name: str = "",
    ) -> None:
        if usd is None and calls is None:
            raise SettingError("usd", usd, "an amount, or calls=")
        if on_unpriced not in get_args(OnUnpriced):
            raise SettingError("on_unpriced", on_unpriced, " or ".join(get_args(OnUnpriced)))
        self.limit_usd = _money("usd", usd)
        self.limit_calls = _count("calls", calls)
        self.on_unpriced = on_unpriced
        self.name = name or session
        self._account = _sessions.account(session) if session else Account()

    @property
    def spent_usd(self) -> Decimal:
        """Cost of the calls that have ended."""
        return self._now().spent_usd

    @property
    def left_usd(self) -> Decimal | None:
        """What may still be spent, never below 0; None where only calls are limited."""
        if self.limit_usd is None:
            return None
        account = self._now()
        return max(_ZERO, EXACT.subtract(self.limit_usd, EXACT.add(account.spent_usd, account.held_usd)))

    @property
    def calls(self) -> int:
        """Calls made, those in flight included and refused ones not."""
        return self._now().calls

    @property
    def unpriced_calls(self) -> int:
        """Calls that have ended and whose cost nobody knows; they are not in `spent_usd`."""
        return self._now().unpriced_calls

    @property
    def refused_calls(self) -> int:
        """Calls that were not sent."""
        return self._account.refused_calls

    def __enter__(self) -> Self:
        _warn_if_blind()
        on_demand.refusing.need()
        with _admission:
            self._account.opened += 1
        limits_in_force.set((*limits_in_force.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _admission:
            self._account.opened -= 1
        # No token: one limit may be entered by several tasks, and left in another context than it was entered in.
        limits_in_force.set(_without_last(limits_in_force.get(), self))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _now(self) -> Account:
        with _admission:
            self._account.fold()
        return self._account

    def _reason(self, ask: _Ask) -> str:
        """Why a call may not be made, or an empty string."""
        account, spent = self._account, EXACT.add(self._account.spent_usd, self._account.held_usd)
        if self.limit_usd is not None and spent >= self.limit_usd:
            held = f", ${account.held_usd:f} of it held for calls in flight" if account.held_usd else ""
            return f"of ${self.limit_usd:f} is spent: ${spent:f} in {account.calls} calls{held}"
        if self.limit_calls is not None and account.calls >= self.limit_calls:
            return f"of {self.limit_calls} calls is used up: {account.calls} calls for ${account.spent_usd:f}"
        if self.on_unpriced == "refuse" and not ask.priced:
            return f"refuses what has no price: ${spent:f} in {account.calls} calls"
        if self.on_unpriced == "refuse" and account.unpriced_calls:
            return f"cannot be held: ${spent:f} in {account.calls} calls, and {account.unpriced_calls} of unknown cost"
        return ""

    def _refuse(self, call: Call, reason: str) -> SpendLimitError:
        account = self._account
        account.refused_calls += 1
        call.limits = ()  # it costs nothing
        if account.refused_calls <= MAX_REFUSED_ROWS:
            call.finish(STATUS_ERROR, SpendLimitError.__name__)
        else:
            call.finished = True
            losses.add("refused_call_over_cap")
        name = f"spend limit {self.name!r}" if self.name else "spend limit"
        asked = call.facts.get("request_model") or call.facts["provider"]
        error = SpendLimitError(f"{name} {reason}; the call to {asked} was not sent")
        error.limit_usd, error.limit_calls = self.limit_usd, self.limit_calls
        error.spent_usd, error.calls = account.spent_usd, account.calls
        return error


class _Ask(NamedTuple):
    """What is known of a call before it is sent."""

    at_most_usd: Decimal
    priced: bool


_FREE: Final = _Ask(_ZERO, priced=True)


def admit(call: Call, *, hold: bool = True) -> None:
    """Let a call pass every limit around it, and hold what it may cost; or only look, where it is not sent yet.

    Raises:
        SpendLimitError: one is spent; the call's event is written then.
    """
    at_most = call.at_most_usd()
    ask = _Ask(at_most or _ZERO, at_most is not None)
    with _admission:
        for limit in call.limits:
            limit._account.fold()  # noqa: SLF001  of this module
        innermost_first = ((limit, limit._reason(ask)) for limit in reversed(call.limits))  # noqa: SLF001
        refused, reason = next(((limit, reason) for limit, reason in innermost_first if reason), (None, ""))
        if refused is None and hold:
            for account in _accounts(call.limits):
                account.hold(call.call_id, ask.at_most_usd)
    if refused is not None:
        raise refused._refuse(call, reason)  # noqa: SLF001


def may_refuse() -> bool:
    """Whether the limits around this code could refuse a call, so that it is worth looking at closely."""
    with _admission:
        for limit in limits_in_force.get():
            limit._account.fold()  # noqa: SLF001  of this module
        return any(limit.on_unpriced == "refuse" or limit._reason(_FREE) for limit in limits_in_force.get())  # noqa: SLF001


def settle(call: Call, cost_usd: Decimal | None) -> None:
    """A call has ended; what it cost goes to every limit around it."""
    for account in _accounts(call.limits):
        account.settle(call.call_id, cost_usd)


def total(events: Iterable[LlmCall]) -> Decimal | None:
    """What a call cost with all that ran inside it, None where nobody knows; an attempt that only failed is free."""
    spent = _ZERO
    for event in events:
        if event.cost_usd is not None:
            spent = EXACT.add(spent, event.cost_usd)
        elif event.status != STATUS_ERROR or event.usage_source != USAGE_MISSING:
            return None
    return spent


def spend_left_usd() -> Decimal | None:
    """What the limits around this code leave to be spent; None where none limits money."""
    left = [limit.left_usd for limit in limits_in_force.get()]
    return min((usd for usd in left if usd is not None), default=None)


def _accounts(limits: Iterable[spend_limit]) -> Iterable[Account]:
    return {id(limit._account): limit._account for limit in limits}.values()  # noqa: SLF001  a session may nest in itself


def _without_last(limits: tuple[spend_limit, ...], left: spend_limit) -> tuple[spend_limit, ...]:
    for at in range(len(limits) - 1, -1, -1):
        if limits[at] is left:
            return limits[:at] + limits[at + 1 :]
    return limits


def _money(name: str, value: object) -> Decimal | None:
    if value is None:
        return None
    allowed = "a Decimal, int or str such as '0.50', 0 or more"
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise SettingError(name, value, allowed)
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise SettingError(name, value, allowed) from None
    if not (amount.is_finite() and amount >= 0):
        raise SettingError(name, value, allowed)
    return amount


def _count(name: str, value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value < 0:
        raise SettingError(name, value, "a whole number, 0 or more")
    return value


def _warn_if_blind() -> None:
    from tollmeter.instrumentation.active import active_recorder

    if active_recorder() is None:
        losses.add("spend_limit_without_instrument")
        logger.warning("tollmeter: spend_limit sees no calls, since nothing is instrumented; call instrument() first")
