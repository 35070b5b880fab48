"""What an alarm is, and how its YAML file is read: every slip is answered with file, line and what is allowed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, Literal

from tollmeter.model.document import Entry, Section, read_document
from tollmeter.model.errors import UnknownNameError
from tollmeter.model.metrics import METRICS, metric

Comparison = Literal["greater_than", "greater_or_equal", "less_than", "less_or_equal"]
MissingData = Literal["breaching", "not_breaching", "ignore", "missing"]
Severity = Literal["page", "ticket"]

COMPARISONS: Final[tuple[Comparison, ...]] = ("greater_than", "greater_or_equal", "less_than", "less_or_equal")
MISSING_DATA: Final[tuple[MissingData, ...]] = ("breaching", "not_breaching", "ignore", "missing")
SEVERITIES: Final[tuple[Severity, ...]] = ("page", "ticket")

_DAY_S: Final = 86_400
_MAX_DESCRIPTION: Final = 512
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{2,63}")
_URL: Final = re.compile(r"https?://\S{4,256}")


@dataclass(frozen=True, slots=True)
class Signal:
    """What is watched, in percent: 100 · share / of, two counters of the metric registry."""

    share: str
    of: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm: fires when `datapoints_to_alarm` of the last `evaluation_periods` periods breach the threshold.

    `threshold` is in percent. A period with fewer than `min_traffic` counts of the signal's denominator is 0 %.
    """

    name: str
    description: str
    signal: Signal
    dimensions: tuple[str, ...]
    comparison: Comparison
    threshold: float
    period_s: int
    evaluation_periods: int
    datapoints_to_alarm: int
    min_traffic: int
    missing_data: MissingData
    severity: Severity
    runbook: str


def alarm_names() -> list[str]:
    """Names of the alarms that ship with Tollmeter, sorted."""
    return sorted(_files())


@cache
def load_alarm(name: str) -> Alarm:
    """The shipped alarm of that name.

    Raises:
        UnknownNameError: there is none; the message lists near matches.
        DefinitionError: its file says something that is not allowed.
    """
    found = _files()
    if name not in found:
        raise UnknownNameError("alarm", name, found)
    return parse_alarm(found[name].read_text("utf-8"), found[name].name)


def parse_alarm(text: str, source: str) -> Alarm:
    """An alarm from the text of its file; `source` names it in messages.

    Raises:
        DefinitionError: a key is missing, unknown or has a value that is not allowed; the message names the line.
        UnknownNameError: the metric registry has no metric of that name.
        MissingExtraError: PyYAML is not installed.
    """
    document = read_document(text, source, extra="alarms")
    alarm = _alarm(document)
    document.refuse_the_rest()
    return alarm


def _alarm(document: Section) -> Alarm:
    signal = _signal(document.section("signal"))
    periods = document.entry("evaluation_periods")
    # CloudWatch looks back one day at most, unless the period is an hour or more.
    period_s = document.entry("period_s").one_of((60, 300, 900, 3600))
    evaluated = periods.whole_number(1, _DAY_S // period_s)
    return Alarm(
        name=document.entry("name").text(_NAME, "3 to 64 of a-z, 0-9 and _, a letter first"),
        description=document.entry("description").text_up_to(_MAX_DESCRIPTION),
        signal=signal,
        dimensions=_dimensions(document.entry("dimensions"), signal),
        comparison=document.entry("comparison").one_of(COMPARISONS),
        threshold=document.entry("threshold").number(0, 100),
        period_s=period_s,
        evaluation_periods=evaluated,
        datapoints_to_alarm=document.entry("datapoints_to_alarm").whole_number(1, evaluated),
        min_traffic=document.entry("min_traffic").whole_number(0, 1_000_000_000),
        missing_data=document.entry("missing_data").one_of(MISSING_DATA),
        severity=document.entry("severity").one_of(SEVERITIES),
        runbook=document.entry("runbook").text(_URL, "an http or https URL"),
    )


def _signal(section: Section) -> Signal:
    signal = Signal(_counter(section.entry("share")), _counter(section.entry("of")))
    section.refuse_the_rest()
    return signal


def _counter(entry: Entry) -> str:
    name = entry.plain_text()
    known = [one.name for one in METRICS]
    if name not in known:
        raise UnknownNameError(f"metric ({entry.source}, line {entry.line})", name, known)
    if metric(name).aggregate != "counter":
        raise entry.refused("a metric that is a counter")
    return name


def _dimensions(entry: Entry, signal: Signal) -> tuple[str, ...]:
    shared = [name for name in metric(signal.of).dimensions if name in metric(signal.share).dimensions]
    return entry.some_of(shared)


@cache
def _files() -> dict[str, Traversable]:
    folder = files("tollmeter.alarms") / "definitions"
    found = (entry for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    return {entry.name.removesuffix(".yaml"): entry for entry in found}
