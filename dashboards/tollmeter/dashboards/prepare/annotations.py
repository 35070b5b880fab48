"""What happened meanwhile, as lines over charts of time: deployments, price changes, and what others add (alarms)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from tollmeter.dashboards.queries.changes import Seen
from tollmeter.dashboards.window import Window

Kind = Literal["deployment", "price", "alarm"]

_MOST: Final = 12
_RELEASE: Final = re.compile(r" \d\S*(?= \S+/\S)")  # of the price table: "genai-prices 0.2.3 openai/o3"
_VALID_FROM: Final = re.compile(r"\s*\b\d{4}-\d{2}-\d{2}\S*")


@dataclass(frozen=True, slots=True)
class Annotation:
    """Something that happened at a moment (UTC), and what is said of it on hover."""

    moment: datetime
    kind: Kind
    text: str


def deployments(seen: Iterable[Seen], since: datetime) -> list[Annotation]:
    """Versions that a service in an environment had not shown before, from `since` on; its first one is no change."""
    first: dict[tuple[str, str], dict[str, datetime]] = {}
    for one in seen:
        if one.version:
            versions = first.setdefault((one.service, one.environment), {})
            versions[one.version] = min(one.first_at, versions.get(one.version, one.first_at))
    found = []
    for (service, environment), versions in first.items():
        place = f"{service} ({environment})" if environment else service
        _, *later = sorted(versions.items(), key=lambda pair: (pair[1], pair[0]))
        found += [Annotation(at, "deployment", f"{place} {version}") for version, at in later if at >= since]
    return sorted(found, key=lambda one: (one.moment, one.text))


def price_changes(seen: Iterable[Seen], since: datetime) -> list[Annotation]:
    """Price rows that took the place of another one of the same model, from `since` on.

    Rows that differ in the day they hold from alone are such; a new release of the price table, another tier or
    another region is no change of price.
    """
    first: dict[tuple[str, str], dict[str, datetime]] = {}
    for one in seen:
        if one.price_ref:
            row = _RELEASE.sub("", one.price_ref)
            rows = first.setdefault((one.model, _VALID_FROM.sub("", row)), {})
            rows[row] = min(one.first_at, rows.get(row, one.first_at))
    found = []
    for (model, _), rows in first.items():
        _, *later = sorted(rows.items(), key=lambda pair: (pair[1], pair[0]))
        found += [Annotation(at, "price", f"price of {model}: {row}") for row, at in later if at >= since]
    return sorted(found, key=lambda one: (one.moment, one.text))


def happened(seen: Sequence[Seen], span: Window, others: Iterable[Annotation] = ()) -> tuple[Annotation, ...]:
    """All of a span, `others` (such as alarms that fired) among them; the newest twelve, so that lines stay apart.

    What falls into one bucket is one line that names all of it.
    """
    found = [*deployments(seen, span.start), *price_changes(seen, span.start), *others]
    lines: dict[tuple[datetime, Kind], list[Annotation]] = {}
    for one in found:
        if span.start <= one.moment < span.end:
            lines.setdefault((span.place(one.moment), one.kind), []).append(one)
    merged = [Annotation(held[0].moment, kind, _named(held)) for (_, kind), held in lines.items()]
    return tuple(sorted(merged, key=lambda one: (one.moment, one.kind)))[-_MOST:]


def _named(held: Sequence[Annotation]) -> str:
    names = [one.text for one in held]
    return "; ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")  # noqa: PLR2004
