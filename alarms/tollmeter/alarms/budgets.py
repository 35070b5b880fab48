"""Budgets: what may be spent per day or month, of everything or of a team, tenant, model or feature.

One file (setting `budgets`), read by the dashboard's forecast and by budget alarms alike. Days and months are those of
the reporting time zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

from tollmeter.model.document import Entry, Section, read_document
from tollmeter.model.errors import DefinitionError, SettingError

Period = Literal["day", "month"]

PERIODS: Final[tuple[Period, ...]] = ("day", "month")
SCOPES: Final = ("team", "tenant", "model", "feature")
WARN_AT: Final = (50, 80, 100)
"""Percent of a budget at which its owner is told, where the file says nothing else."""

_EXTRA: Final = "alarms"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_USD: Final = 1_000_000_000
_PLACES: Final = 2
_MOST_PERCENT: Final = 1000
_MOST_TEXT: Final = 1024


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget: `usd` per day or month for the calls that meet all of `where`, pairs of a dimension and its value."""

    name: str
    usd: Decimal
    per: Period
    where: tuple[tuple[str, str], ...] = ()
    warn_at: tuple[int, ...] = WARN_AT


def read_budgets(path: str) -> tuple[Budget, ...]:
    """The budgets in the file of the setting `budgets`; none where it is empty.

    Raises:
        SettingError: the file cannot be read.
        DefinitionError: it says something that is not allowed; the message names file, line, value and what is.
        MissingExtraError: it is YAML, and PyYAML is not installed.
    """
    if not path:
        return ()
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise SettingError("budgets", path, f"a file that can be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DefinitionError(Path(path).name, 1, "what is no UTF-8", "UTF-8 text") from error
    return parse_budgets(text, Path(path).name)


def parse_budgets(text: str, source: str) -> tuple[Budget, ...]:
    """The budgets that a text holds; `source` is its file's name, which tells JSON from YAML.

    Raises:
        DefinitionError: a key is missing, unknown or has a value that is not allowed, or two budgets share a name.
        MissingExtraError: the text is YAML, and PyYAML is not installed.

    >>> parse_budgets('{"budgets": [{"name": "all", "usd": 5000, "per": "month"}]}', "budgets.json")[0].usd
    Decimal('5000')
    """
    document = read_document(text, source, extra=_EXTRA)
    found: dict[str, Budget] = {}
    for section in document.entry("budgets").sections():
        name = section.entry("name")
        budget = _budget(section)
        if budget.name in found:
            raise name.refused("a name that no budget before it has")
        found[budget.name] = budget
    document.refuse_the_rest()
    return tuple(found.values())


def _budget(section: Section) -> Budget:
    usd = section.entry("usd")
    amount = usd.decimal(0, _MOST_USD, _PLACES)
    if not amount:
        raise usd.refused("more than 0")
    warn_at = section.optional("warn_at")
    budget = Budget(
        name=section.entry("name").text(_NAME, "1 to 64 of letters, digits, '.', '_' and '-'"),
        usd=amount,
        per=section.entry("per").one_of(PERIODS),
        where=_where(section),
        warn_at=_percents(warn_at) if warn_at else WARN_AT,
    )
    section.refuse_the_rest()
    return budget


def _where(section: Section) -> tuple[tuple[str, str], ...]:
    if section.optional("where") is None:
        return ()
    scope = section.section("where")
    found = []
    for name in SCOPES:
        entry = scope.optional(name)
        if entry is not None:
            found.append((name, entry.text_up_to(_MOST_TEXT)))
    scope.refuse_the_rest()
    return tuple(found)


def _percents(entry: Entry) -> tuple[int, ...]:
    found = entry.value if isinstance(entry.value, list) else []
    whole = [one for one in found if isinstance(one, int) and not isinstance(one, bool) and 0 < one <= _MOST_PERCENT]
    if not found or len(whole) < len(found) or sorted(set(whole)) != whole:
        raise entry.refused(f"whole percents from 1 to {_MOST_PERCENT}, rising")
    return tuple(whole)
