"""Events to metric points, by the metric registry: sums, and the values of distributions, by minute and dimensions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tollmeter.exporters.derive.dimensions import label
from tollmeter.model.metrics import METRICS, Metric, metric

if TYPE_CHECKING:
    from tollmeter.model.events import Event
    from tollmeter.model.metric_names import Alias

Admit = Callable[[str, str], str]
"""The dimension budget: field and value to the value to send."""

Pairs = tuple[tuple[str, str], ...]
"""Dimensions by name: of the field of the event, or of its value."""

MINUTE_S: Final = 60


class Sent(NamedTuple):
    """A metric as it is sent: under which name, by which dimensions (name outside, field of the event)."""

    metric: Metric
    name: str
    dimensions: Pairs


class Key(NamedTuple):
    """What makes a point: the name it is sent under, the dimensions and their values, the minute (epoch seconds)."""

    name: str
    dimensions: Pairs
    minute: int


@dataclass(slots=True)
class Points:
    """Points of one batch: of a counter the sum, of the others how often each value came."""

    sums: dict[Key, float] = field(default_factory=dict)
    values: dict[Key, Counter[float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sums) + len(self.values)


class _Group:
    """Metrics of one kind of event with the same dimensions: the counters first, then the others."""

    def __init__(self, dimensions: Pairs, sent: Sequence[Sent]) -> None:
        self.dimensions = dimensions
        self.labels = attrgetter(*(own for _, own in dimensions))
        counters = [each for each in sent if each.metric.aggregate == "counter"]
        others = [each for each in sent if each.metric.aggregate != "counter"]
        self.counters = [each.name for each in counters]
        self.others = [each.name for each in others]
        self.sums = list(enumerate(each.metric.reader() for each in counters))
        self.values = list(enumerate(each.metric.reader() for each in others))


@dataclass(slots=True)
class _Series:
    """What was added up for one set of labels in one minute, in the order of the group's metrics.

    `dimensions` is empty until something counts; `folded` are the fields whose label was not admitted.
    """

    sums: list[float | None]
    values: list[list[float]]
    dimensions: Pairs = ()
    folded: tuple[tuple[str, str], ...] = ()


def minute_of(event: Event) -> int:
    """The minute an event belongs to, in epoch seconds: that of its own timestamp."""
    return int(event.timestamp.timestamp()) // MINUTE_S * MINUTE_S


class Aggregator:
    """Computes points; `sent` tells what a name stands for.

    Args:
        admit: the dimension budget.
        aliases: further names some metrics are sent under.
        when: the time of a point that an event contributes to.
    """

    def __init__(
        self, admit: Admit, aliases: Iterable[Alias] = (), *, when: Callable[[Event], int] = minute_of
    ) -> None:
        self._when = when
        own = [Sent(each, each.name, tuple((name, name) for name in each.dimensions)) for each in METRICS]
        more = [Sent(metric(alias.metric), alias.name, alias.dimensions) for alias in aliases]
        self.sent = {sent.name: sent for sent in (*own, *more)}
        self._admit = admit
        self._by_kind: dict[str, list[_Group]] = {}
        for kind in {sent.metric.kind for sent in self.sent.values()}:
            self._by_kind[kind] = _groups(sent for sent in self.sent.values() if sent.metric.kind == kind)

    def points(self, events: Iterable[Event]) -> Points:
        """The points of some events."""
        found: dict[_Group, dict[tuple[int, Any], _Series]] = {}
        for event in events:
            minute = self._when(event)
            for group in self._by_kind.get(str(event.__struct_config__.tag), ()):
                self._add(found.setdefault(group, {}), event, minute, group)
        return _points(found)

    def _add(self, found: dict[tuple[int, Any], _Series], event: Event, minute: int, group: _Group) -> None:
        place = (minute, group.labels(event))
        series = found.get(place)
        if series is None:
            found[place] = series = _Series([None] * len(group.sums), [[] for _ in group.values])
        counted = False
        sums = series.sums
        for index, read in group.sums:
            value = read(event)
            if value is not None and isfinite(value):
                sums[index] = (sums[index] or 0.0) + value
                counted = True
        for index, read in group.values:
            value = read(event)
            if value is not None and isfinite(value):
                series.values[index].append(value)
                counted = True
        if counted and (series.folded or not series.dimensions):
            self._label(series, event, group)

    def _label(self, series: _Series, event: Event, group: _Group) -> None:
        """Ask the budget once for each series, but for each event of one that is folded, for these are counted."""
        if series.folded:
            for own, text in series.folded:
                self._admit(own, text)
            return
        told = [(out, own, label(getattr(event, own))) for out, own in group.dimensions]
        admitted = [(out, own, text, self._admit(own, text)) for out, own, text in told]
        series.dimensions = tuple((out, value) for out, _, _, value in admitted)
        series.folded = tuple((own, text) for _, own, text, value in admitted if value != text)


def _points(found: Mapping[_Group, Mapping[tuple[int, Any], _Series]]) -> Points:
    points = Points()
    for group, places in found.items():
        for (minute, _), series in places.items():
            for name, total in zip(group.counters, series.sums, strict=True):
                if total is not None:
                    key = Key(name, series.dimensions, minute)
                    points.sums[key] = points.sums.get(key, 0.0) + total
            for name, values in zip(group.others, series.values, strict=True):
                if values:
                    points.values.setdefault(Key(name, series.dimensions, minute), Counter()).update(values)
    return points


def _groups(sent: Iterable[Sent]) -> list[_Group]:
    groups: dict[Pairs, list[Sent]] = {}
    for each in sent:
        groups.setdefault(each.dimensions, []).append(each)
    return [_Group(dimensions, found) for dimensions, found in groups.items()]
