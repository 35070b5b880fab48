"""CloudWatch's embedded metric format: its directive, and an event and its metrics on one line.

Where nobody forwards (Lambda), the line on stdout is the event itself with three kinds of members more: `_aws`, one for
each metric, and `_event`, which holds the event's own values where a dimension had to say them otherwise. `without_emf`
takes them out again.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tollmeter.model.columns import COLUMNS
from tollmeter.model.events import encode
from tollmeter.model.metric_names import ABSENT, preset
from tollmeter.model.metrics import METRICS, Metric, metric

if TYPE_CHECKING:
    from tollmeter.model.events import Event
    from tollmeter.model.settings import Settings

DIRECTIVES: Final = "_aws"
OWN_VALUES: Final = "_event"
_MAX_DIMENSION: Final = 1024
_COLUMNS: Final = frozenset(column.name for column in COLUMNS)
_UNFIT: Final = re.compile(r"[^\x20-\x7e]")


def dimension_value(value: str) -> str:
    r"""A label as CloudWatch takes it: printable ASCII, not empty, not with a colon first, at most 1,024 characters.

    >>> dimension_value("Köln\n"), dimension_value(""), dimension_value(":x")
    ('K?ln?', 'none', '_:x')
    """
    text = _UNFIT.sub("?", value).strip()[: _MAX_DIMENSION - 1] or ABSENT
    return f"_{text}" if text.startswith(":") else text


def directive(namespace: str, dimensions: Iterable[str], units: Mapping[str, str]) -> dict[str, Any]:
    """A metric directive: which members of the line are metrics, in which unit, and which are their dimensions."""
    return {
        "Namespace": namespace,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit in units.items()],
    }


class _Group(NamedTuple):
    """Metrics of one kind of event with the same dimensions: (name outside, field of the event)."""

    namespace: str
    dimensions: tuple[tuple[str, str], ...]
    metrics: tuple[tuple[str, Metric], ...]


class EventLines:
    """Events as lines that are their own metrics.

    Raises:
        UnknownNameError: there is no such metric preset.
    """

    def __init__(self, settings: Settings) -> None:
        self._by_kind = {kind: _groups(kind, settings) for kind in {each.kind for each in METRICS}}

    def encode(self, event: Event) -> bytes:
        """The event as one line of JSON with its metrics, newline included."""
        directives: list[dict[str, Any]] = []
        targets: dict[str, Any] = {}
        labels: dict[str, str] = {}
        for group in self._by_kind.get(str(event.__struct_config__.tag), ()):
            found = _values(group, event)
            if found:
                targets |= found
                labels |= {name: str(getattr(event, field)) for name, field in group.dimensions}
                units = {name: each.unit for name, each in group.metrics if name in found}
                directives.append(directive(group.namespace, (name for name, _ in group.dimensions), units))
        if not directives:
            return encode(event)
        head = {"Timestamp": int(event.timestamp.timestamp() * 1000), "CloudWatchMetrics": directives}
        return _joined(event, {DIRECTIVES: head} | targets, labels)


def without_emf(fields: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """The members of the event alone, with its own values, of a line that `EventLines` made; others as they are."""
    try:
        head = msgspec.json.decode(fields[DIRECTIVES], type=_Head)
        own = msgspec.json.decode(fields[OWN_VALUES], type=dict[str, msgspec.Raw]) if OWN_VALUES in fields else {}
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return fields
    metrics = {each.Name for part in head.CloudWatchMetrics for each in part.Metrics}
    labels = {name for part in head.CloudWatchMetrics for names in part.Dimensions for name in names}
    added = (metrics | labels) - _COLUMNS | {DIRECTIVES, OWN_VALUES}
    return {name: raw for name, raw in fields.items() if name not in added} | own


class _Named(msgspec.Struct):
    Name: str


class _Part(msgspec.Struct):
    Metrics: list[_Named]
    Dimensions: list[list[str]] = []


class _Head(msgspec.Struct):
    CloudWatchMetrics: list[_Part]


def _joined(event: Event, targets: dict[str, Any], labels: dict[str, str]) -> bytes:
    fit = {name: dimension_value(value) for name, value in labels.items()}
    changed = {name: fit[name] for name, value in labels.items() if fit[name] != value and hasattr(event, name)}
    if changed:
        targets[OWN_VALUES] = {name: labels[name] for name in changed}
    shown = msgspec.structs.replace(event, **changed) if changed else event
    more = targets | {name: value for name, value in fit.items() if not hasattr(event, name)}
    return encode(shown)[:-2] + b"," + msgspec.json.encode(more)[1:] + b"\n"


def _values(group: _Group, event: Event) -> dict[str, float]:
    found = {name: each.contribution(event) for name, each in group.metrics}
    return {name: value for name, value in found.items() if value is not None and isfinite(value)}


def _groups(kind: str, settings: Settings) -> list[_Group]:
    chosen = preset(settings.metric_preset)
    own = [(each.name, each, tuple((field, field) for field in each.dimensions)) for each in METRICS]
    named = [(alias.name, metric(alias.metric), alias.dimensions) for alias in (chosen.cloudwatch if chosen else ())]
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[str, Metric]]] = {}
    for namespace, rows in ((settings.cloudwatch_namespace, own), (chosen.namespace if chosen else "", named)):
        for name, each, dimensions in rows:
            if each.kind == kind:
                groups.setdefault((namespace, dimensions), []).append((name, each))
    return [_Group(*place, tuple(metrics)) for place, metrics in groups.items()]
