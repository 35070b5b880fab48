"""Events to metric points, by the metric registry: sums, and the values of distributions, by minute and dimensions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

from tollmeter.exporters.derive.dimensions import label
from tollmeter.model.metrics import METRICS, Aggregate, Metric, metric

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


class _Group(NamedTuple):
    """Metrics of one kind of event with the same dimensions."""

    dimensions: Pairs
    sent: list[tuple[str, Aggregate, Callable[[Event], float | None]]]


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
        points = Points()
        for event in events:
            minute = self._when(event)
            for group in self._by_kind.get(str(event.__struct_config__.tag), ()):
                self._add(points, event, minute, group)
        return points

    def _add(self, points: Points, event: Event, minute: int, group: _Group) -> None:
        dimensions: Pairs | None = None
        for name, aggregate, contribution in group.sent:
            value = contribution(event)
            if value is None or not isfinite(value):
                continue
            if dimensions is None:
                dimensions = tuple((out, self._admit(own, label(getattr(event, own)))) for out, own in group.dimensions)
            key = Key(name, dimensions, minute)
            if aggregate == "counter":
                points.sums[key] = points.sums.get(key, 0.0) + value
            else:
                points.values.setdefault(key, Counter())[value] += 1


def _groups(sent: Iterable[Sent]) -> list[_Group]:
    groups: dict[Pairs, _Group] = {}
    for each in sent:
        group = groups.setdefault(each.dimensions, _Group(each.dimensions, []))
        group.sent.append((each.name, each.metric.aggregate, each.metric.contribution))
    return list(groups.values())
