"""CloudWatch's own forms: names and dimensions it takes, data of `PutMetricData`, documents of the embedded format.

Limits: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from tollmeter.exporters.derive.metrics import Key, Pairs, Points, Sent
from tollmeter.model.emf import dimension_value, directive

MAX_VALUES: Final = 150
"""Unique values of one datum."""
MAX_TARGETS: Final = 100
"""Elements of one array, and metrics of one directive, of the embedded format."""
_RESOLUTION_S: Final = 60


def data(points: Points, sent: Mapping[str, Sent]) -> Iterator[dict[str, Any]]:
    """The points as `MetricData`: sums as one value, distributions as values with counts, so that percentiles work."""
    for key, total in points.sums.items():
        yield _datum(key, sent) | {"Value": total}
    for key, values in points.values.items():
        for part in _parts(values, MAX_VALUES):
            yield _datum(key, sent) | {"Values": list(part), "Counts": [float(count) for count in part.values()]}


def embedded(points: Points, sent: Mapping[str, Sent], namespace: str) -> Iterator[dict[str, Any]]:
    """The points as documents of the embedded metric format: one for each minute and set of dimensions, or more."""
    documents: dict[tuple[Pairs, int], list[dict[str, Any]]] = {}
    for key, total in points.sums.items():
        _place(documents.setdefault(key[1:], []), key.name, total)
    for key, values in points.values.items():
        flat = Counter(values).elements()
        while part := list(islice(flat, MAX_TARGETS)):
            _place(documents.setdefault(key[1:], []), key.name, part)
    for (dimensions, minute), found in documents.items():
        for targets in found:
            yield _document(targets, dimensions, minute, sent, namespace)


def _datum(key: Key, sent: Mapping[str, Sent]) -> dict[str, Any]:
    return {
        "MetricName": key.name,
        "Unit": sent[key.name].metric.unit,
        "Timestamp": datetime.fromtimestamp(key.minute, UTC),
        "Dimensions": [{"Name": name, "Value": dimension_value(value)} for name, value in key.dimensions],
        "StorageResolution": _RESOLUTION_S,
    }


def _parts(values: Counter[float], size: int) -> Iterator[dict[float, int]]:
    pairs = iter(values.items())
    while part := dict(islice(pairs, size)):
        yield part


def _place(documents: list[dict[str, Any]], name: str, value: float | list[float]) -> None:
    """Put a value into the first document that has none of that name and room for one."""
    free = (each for each in documents if name not in each and len(each) < MAX_TARGETS)
    target = next(free, None)
    if target is None:
        documents.append(target := {})
    target[name] = value


def _document(
    targets: dict[str, Any], dimensions: Pairs, minute: int, sent: Mapping[str, Sent], namespace: str
) -> dict[str, Any]:
    found = directive(namespace, (name for name, _ in dimensions), {name: sent[name].metric.unit for name in targets})
    labels = {name: dimension_value(value) for name, value in dimensions}
    return {"_aws": {"Timestamp": minute * 1000, "CloudWatchMetrics": [found]}} | labels | targets


def namespaces(points: Points, aliases: Iterable[str], own: str, other: str) -> Iterator[tuple[str, Points]]:
    """The points by namespace: those sent under an alias go to the preset's."""
    named = frozenset(aliases)
    for namespace, chosen in ((own, False), (other, True)):
        part = Points(
            {key: value for key, value in points.sums.items() if (key.name in named) is chosen},
            {key: value for key, value in points.values.items() if (key.name in named) is chosen},
        )
        if len(part):
            yield namespace, part
