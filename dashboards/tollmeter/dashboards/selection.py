"""What the reader asked for, as the address carries it: time, comparison, grouping, filters.

The address is the truth. It holds explicit choices alone, in relative form (`?range=24h&model=gpt-4o&model=o3`), so
that a shared link stays true tomorrow; a default is never written to it. A filter is one pair per value,
percent-encoded, so that any value survives: commas, quotes, HTML, an empty one (`tenant=` are calls without a tenant).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final
from urllib.parse import parse_qsl, quote

from tollmeter.dashboards.dimensions import DEFAULT_GROUP, DIMENSIONS, GROUPS, UNGROUPED

PRESETS: Final[dict[str, tuple[str, timedelta | None]]] = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
    "mtd": ("Month to date", None),
    "last_month": ("Last month", None),
    "90d": ("Last 90 days", timedelta(days=90)),
}
"""Label and length of each preset; months have no fixed one."""
CUSTOM: Final = "custom"
DEFAULT_RANGE: Final = "30d"
MONTH_TO_DATE: Final = "mtd"
LAST_MONTH: Final = "last_month"

KEY_RANGE: Final = "range"
KEY_SINCE: Final = "from"
KEY_UNTIL: Final = "to"
KEY_COMPARE: Final = "compare"
KEY_GROUP: Final = "group"
_ON: Final = "1"
_MOST_PAIRS: Final = 1000

Filters = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Choices of the reader; no filter of a dimension means all of its values.

    `range` is a preset, or `custom` with first and last day, both inclusive, in the reporting time zone. `group` is a
    dimension or empty. `filters` are in the order of `DIMENSIONS`. `extra` are pairs that belong to one page, such as
    the call its drawer shows. `problems` names what of the address was not understood and left out.
    """

    range: str = DEFAULT_RANGE
    since: date | None = None
    until: date | None = None
    compare: bool = False
    group: str = DEFAULT_GROUP
    filters: Filters = ()
    extra: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()

    def search(self) -> str:
        """The query string; empty when all is default.

        >>> Selection(range="24h", filters=(("model", ("gpt-4o", "a,b")),)).search()
        '?range=24h&model=gpt-4o&model=a%2Cb'
        """
        pairs = [*self._time(), *self._view(), *self._filter_pairs(), *self.extra]
        text = "&".join(f"{quote(name, safe='')}={quote(value, safe='/:')}" for name, value in pairs)
        return f"?{text}" if text else ""

    def values(self, name: str) -> tuple[str, ...]:
        """The values of a dimension that are asked for; none means all."""
        return dict(self.filters).get(name, ())

    def with_filter(self, name: str, values: tuple[str, ...]) -> Selection:
        """The same with other values of one dimension; none drops its filter.

        >>> Selection().with_filter("team", ("ml", "ml")).filters
        (('team', ('ml',)),)
        """
        held = dict(self.filters) | {name: tuple(dict.fromkeys(values))}
        return replace(self, filters=tuple((key, held[key]) for key in DIMENSIONS if held.get(key)), problems=())

    def without(self, name: str) -> Selection:
        """The same with any value of that dimension."""
        return self.with_filter(name, ())

    def with_range(self, name: str) -> Selection:
        """The same over a preset."""
        return replace(self, range=name, since=None, until=None, problems=())

    def with_days(self, since: date, until: date) -> Selection:
        """The same over whole days, both inclusive, in either order."""
        return replace(self, range=CUSTOM, since=min(since, until), until=max(since, until), problems=())

    def get(self, name: str) -> str:
        """What a page keeps under a name of its own; empty if nothing."""
        return dict(self.extra).get(name, "")

    def with_extra(self, name: str, value: str) -> Selection:
        """The same with another value under a page's own name; an empty one drops it.

        >>> Selection().with_extra("call", "0193").search()
        '?call=0193'
        """
        kept = tuple(pair for pair in self.extra if pair[0] != name)
        return replace(self, extra=(*kept, (name, value)) if value else kept)

    def shared(self) -> Selection:
        """What a link to another page carries: all but that page's own names."""
        return replace(self, extra=(), problems=())

    def _time(self) -> list[tuple[str, str]]:
        if self.range == CUSTOM:
            return [(KEY_SINCE, str(self.since)), (KEY_UNTIL, str(self.until))]
        return [] if self.range == DEFAULT_RANGE else [(KEY_RANGE, self.range)]

    def _view(self) -> list[tuple[str, str]]:
        compare = [(KEY_COMPARE, _ON)] if self.compare else []
        return compare if self.group == DEFAULT_GROUP else [*compare, (KEY_GROUP, self.group or UNGROUPED)]

    def _filter_pairs(self) -> list[tuple[str, str]]:
        return [(name, value) for name, values in self.filters for value in values]


def parse_search(search: str | None, own: tuple[str, ...] = ()) -> Selection:
    """The selection an address carries; `own` are the names that the page keeps for itself.

    What is not understood is named in `problems` and left out.

    >>> parse_search("?range=24h&model=gpt-4o&model=a%2Cb").values("model")
    ('gpt-4o', 'a,b')
    >>> parse_search("?range=yesterday").problems
    ("range 'yesterday' is not known: use 1h, 24h, 7d, 30d, mtd, last_month, 90d",)
    """
    try:
        pairs = parse_qsl((search or "").lstrip("?"), keep_blank_values=True, max_num_fields=_MOST_PAIRS)
    except ValueError:
        return Selection(problems=(f"the address has more than {_MOST_PAIRS} parts",))
    selection = Selection(extra=tuple(pair for pair in pairs if pair[0] in own))
    for name in dict(pairs).keys() & DIMENSIONS.keys():
        selection = selection.with_filter(name, tuple(value for key, value in pairs if key == name))
    problems: list[str] = []
    selection = _timed(_viewed(selection, dict(pairs), problems), dict(pairs), problems)
    return replace(selection, problems=(*problems, *_unknown(dict(pairs), own)))


def _viewed(selection: Selection, given: dict[str, str], problems: list[str]) -> Selection:
    group = given.get(KEY_GROUP, DEFAULT_GROUP)
    if group not in (*GROUPS, UNGROUPED):
        problems.append(f"group {group!r} is not known: use {', '.join((*GROUPS, UNGROUPED))}")
        group = DEFAULT_GROUP
    return replace(selection, compare=given.get(KEY_COMPARE) == _ON, group="" if group == UNGROUPED else group)


def _timed(selection: Selection, given: dict[str, str], problems: list[str]) -> Selection:
    if KEY_SINCE in given or KEY_UNTIL in given:
        since, until = given.get(KEY_SINCE, ""), given.get(KEY_UNTIL, "")
        try:
            return selection.with_days(date.fromisoformat(since[:10]), date.fromisoformat(until[:10]))
        except ValueError:
            problems.append(f"from={since!r} to={until!r} are not days such as 2026-01-31")
            return selection
    chosen = given.get(KEY_RANGE, DEFAULT_RANGE).lower()
    if chosen in PRESETS:
        return selection.with_range(chosen)
    problems.append(f"range {chosen!r} is not known: use {', '.join(PRESETS)}")
    return selection


def _unknown(given: dict[str, str], own: tuple[str, ...]) -> list[str]:
    known = {KEY_RANGE, KEY_SINCE, KEY_UNTIL, KEY_COMPARE, KEY_GROUP, *DIMENSIONS, *own}
    return [f"{name!r} is no dimension: use {', '.join(DIMENSIONS)}" for name in given if name not in known]
