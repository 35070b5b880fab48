"""Every error Tollmeter raises.

```
TollmeterError
├── UsageError            the caller asked for something that cannot be     exit 2
│   ├── SettingError      a setting has a value that is not allowed
│   ├── UnknownNameError  a query, metric, alarm, model … of that name does not exist
│   ├── DefinitionError   a definition file says something that is not allowed
│   └── MissingExtraError an optional dependency is not installed
├── DataError             input that cannot be understood                   exit 1
│   ├── EventError        one line is not a valid event
│   ├── QueryError        a statement that cannot be parsed or run
│   └── InvariantError    rows were lost or doubled; nothing was hidden
├── TransientError        trying again may help                             exit 1
│   ├── LockedError       another process holds the lock
│   └── ConflictError     another writer committed first
├── CancelledError        a query was ended by whoever asked                exit 1
├── AccessError           who asks is not known, or may not                 exit 1
└── SpendLimitError       a model call was refused: its limit is spent      exit 1
```

Nothing here is ever raised into a host application (see `tollmeter.instrumentation.guard`), but for `SpendLimitError`,
which an application asks for with `spend_limit` (and the `SettingError` of a limit that is no amount).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tollmeter.model.secrets import scrub

if TYPE_CHECKING:
    from collections.abc import Iterable


class TollmeterError(Exception):
    """Base of the tree; `exit_code` is what the command line returns for it."""

    exit_code = 1


class UsageError(TollmeterError):
    """The caller asked for something that cannot be."""

    exit_code = 2


class SettingError(UsageError):
    """A setting has a value that is not allowed; a secret in it is not repeated."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name}={scrub(repr(value))} is not allowed: expected {allowed}")


class UnknownNameError(UsageError):
    """Nothing of that kind has that name; the message lists near matches, or all names.

    >>> print(UnknownNameError("query", "cost_by_dya", ["cost_by_day", "latency"]))
    no query named 'cost_by_dya'; did you mean cost_by_day?
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        from difflib import get_close_matches

        names = sorted(known)
        near = get_close_matches(name, names, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
        super().__init__(f"no {kind} named {name!r}; {hint}")


class DefinitionError(UsageError):
    """A definition file says something that is not allowed; the message names file, line, value and what is."""

    def __init__(self, source: str, line: int, found: str, allowed: str) -> None:
        super().__init__(f"{source}, line {line}: {found} is not allowed: expected {allowed}")


class MissingExtraError(UsageError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed; run: pip install 'tollmeter[{extra}]'")


class DataError(TollmeterError):
    """Input that cannot be understood."""


class EventError(DataError):
    """One line is not a valid event."""


class QueryError(DataError):
    """A statement that cannot be parsed or run."""


class InvariantError(DataError):
    """Rows were lost or doubled."""


class TransientError(TollmeterError):
    """Trying again may help."""


class LockedError(TransientError):
    """Another process holds the lock."""


class ConflictError(TransientError):
    """Another writer committed first."""


class CancelledError(TollmeterError):
    """A query was ended by whoever asked it, before it had an answer."""


class AccessError(TollmeterError):
    """Who asks is not known, or may not; the message tells nothing that the one who asks did not send."""


class SpendLimitError(TollmeterError):
    """A model call was refused before it was sent: the limit that the application set is spent.

    The message names the limit, what was spent and in how many calls; so do the attributes, money in USD.
    """

    limit_usd: Decimal | None = None
    limit_calls: int | None = None
    spent_usd: Decimal = Decimal(0)
    calls: int = 0
