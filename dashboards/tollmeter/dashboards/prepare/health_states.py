"""The state of the data as lights: green, amber or red, each with the rule that it follows beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.queries.health import Health, RunSeen
from tollmeter.model.names import DROP_REASONS, DROP_SAMPLED

Light = Literal["green", "amber", "red", "none"]

FRESH: Final = timedelta(minutes=15)
STALE: Final = timedelta(hours=2)
SILENT: Final = timedelta(hours=24)
QUARANTINE_RED: Final = 0.05
DUPLICATES_AMBER: Final = 0.05
LOSSES_RED: Final = 0.001
UNPRICED: Final = (0.02, 0.10)
GUESSED: Final = (0.05, 0.20)
FILES_PER_DAY: Final = 24
SMALL_BYTES: Final = 64 << 20

_WHOLE: Final = "all"
_DROPPED: Final = "tollmeter.dropped_"
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class State:
    """One light: what it stands for, the figure it was judged by, what it means, and the rule."""

    key: str
    title: str
    light: Light
    value: str
    detail: str
    rule: str


def states(found: Health, now: datetime, max_quarantined_ratio: float = QUARANTINE_RED) -> tuple[State, ...]:
    """All lights, those that matter most first."""
    return (
        _landing(found, now),
        _services(found, now),
        _etl(found),
        _forwarder(found),
        _quarantine(found, max_quarantined_ratio),
        _losses(found),
        _duplicates(found),
        _unpriced(found),
        _guessed(found),
        _inconsistent(found),
        _simulated(found),
        _files(found),
    )


def age_text(age: timedelta) -> str:
    """How long ago, in its natural unit; a clock that is ahead reads as now.

    >>> age_text(timedelta(seconds=42)), age_text(timedelta(minutes=90)), age_text(timedelta(days=3))
    ('42 s', '1.5 h', '3.0 d')
    """
    seconds = max(0.0, age.total_seconds())
    for limit, size, unit in ((_MINUTE, 1, "s"), (_HOUR, _MINUTE, "min"), (_DAY, _HOUR, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}" if unit != "h" else f"{seconds / size:.1f} h"
    return f"{seconds / _DAY:.1f} d"


def dropped(found: Health) -> list[tuple[str, str, int]]:
    """What sinks will never send: sink, reason in words, events; the most first."""
    rows = [
        (one.sink, DROP_REASONS.get(one.metric.removeprefix(_DROPPED), one.metric.removeprefix(_DROPPED)),
         int(one.total or 0))
        for one in found.totals
        if one.metric.startswith(_DROPPED) and one.total
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[2], row))


def _landing(found: Health, now: datetime) -> State:
    rule = f"green up to {age_text(FRESH)} since the newest landing, amber up to {age_text(STALE)}, then red"
    if not found.services:
        return State("landing", "Newest landing", "none", formats.NOTHING, "no call landed in this span", rule)
    landed = max(one.last_ingested_at for one in found.services)
    event = max(one.last_at for one in found.services)
    age = now - landed
    detail = f"newest call began {age_text(now - event)} ago; it took {age_text(landed - event)} to land"
    return State("landing", "Newest landing", _by(age, FRESH, STALE), f"{age_text(age)} ago", detail, rule)


def _services(found: Health, now: datetime) -> State:
    rule = f"amber where a service of this span has been silent for more than {age_text(SILENT)}"
    silent = [one for one in found.services if now - one.last_at > SILENT]
    names = ", ".join(f"{one.service} for {age_text(now - one.last_at)}" for one in silent[:3])
    more = f" and {len(silent) - 3} more" if len(silent) > 3 else ""  # noqa: PLR2004
    light: Light = "none" if not found.services else "amber" if silent else "green"
    value = f"{len(found.services) - len(silent)} of {len(found.services)} heard"
    return State("services", "Services", light, value, f"silent: {names}{more}" if silent else "all heard from", rule)


def _etl(found: Health) -> State:
    rule = "red where the newest run failed, amber where an earlier one of the span did"
    return _runs(found, "etl", "ETL runs", "etl", rule)


def _forwarder(found: Health) -> State:
    rule = "red where a sink's newest report is a failure, amber where an earlier one of the span was"
    return _runs(found, "forward", "Forwarder", "forwarder", rule)


def _runs(found: Health, component: str, title: str, key: str, rule: str) -> State:
    mine = [one for one in found.runs if one.component == component]
    if not mine:
        return State(key, title, "none", formats.NOTHING, "it told of no run in this span", rule)
    newest: dict[str, RunSeen] = {}
    for one in mine:
        newest.setdefault(one.sink, one)
    failing = [one for one in newest.values() if one.outcome == "error"]
    failed = sum(int(one.total or 0) for one in found.totals
                 if one.metric == "tollmeter.failed_runs" and one.component == component)  # fmt: skip
    failed = max(failed, sum(one.outcome == "error" for one in mine))
    light: Light = "red" if failing else "amber" if failed else "green"
    told = sum(one.runs for one in found.totals if one.metric == "tollmeter.runs" and one.component == component)
    names = ", ".join(f"{one.sink or component}: {one.error_type or 'failed'}" for one in failing)
    detail = f"failing now: {names}" if failing else f"{formats.count(failed)} failed"
    return State(key, title, light, formats.many(max(told, len(mine)), "report"), detail, rule)


def _quarantine(found: Health, most: float) -> State:
    rule = f"amber from the first line, red above {most:.0%} of the lines read"
    lines = sum(one.lines for one in found.quarantined)
    read = found.total("tollmeter.lines_read")
    share = lines / read if read else float(bool(lines))
    light: Light = "red" if share > most else "amber" if lines else "green"
    detail = f"of {formats.count(read)} lines read; {formats.many(len(found.quarantined), 'reason')}"
    return State("quarantine", "Quarantine", light, formats.many(lines, "line"), detail, rule)


def _losses(found: Health) -> State:
    rule = f"amber from the first event, red above {LOSSES_RED:.1%} of the calls; what sampling leaves out is none"
    inside = sum(found.losses.values())
    sampled = found.total(_DROPPED + DROP_SAMPLED)
    sinks = max(0, found.total("tollmeter.dropped") - sampled)
    doubt = found.total("tollmeter.in_doubt")
    calls = sum(one.calls for one in found.services)
    lost = inside + sinks
    light: Light = "green" if not lost else "red" if lost > LOSSES_RED * max(calls, 1) else "amber"
    detail = (
        f"{formats.count(inside)} in services, {formats.count(sinks)} by sinks, {formats.count(doubt)} in doubt; "
        f"{formats.count(sampled)} left out by sampling"
    )
    return State("losses", "Losses", light, formats.many(lost, "event"), detail, rule)


def _duplicates(found: Health) -> State:
    rule = f"delivery is at least once, so duplicates are no loss; amber above {DUPLICATES_AMBER:.0%} of the lines read"
    count, read = found.total("tollmeter.duplicates"), found.total("tollmeter.lines_read")
    light: Light = "amber" if read and count / read > DUPLICATES_AMBER else "green"
    detail = f"of {formats.count(read)} lines read; none of them landed twice"
    return State("duplicates", "Duplicates", light, formats.many(count, "line"), detail, rule)


def _unpriced(found: Health) -> State:
    rule = f"share of calls without a known cost: amber above {UNPRICED[0]:.0%}, red above {UNPRICED[1]:.0%}"
    count, calls = _counted(found, lambda one: one.unpriced_calls)
    detail = f"{formats.count(count)} of {formats.count(calls)} calls; failed calls without usage are among them"
    return State(
        "unpriced", "Unpriced", _share_light(count, calls, UNPRICED), formats.percent(count, calls), detail, rule
    )


def _guessed(found: Health) -> State:
    rule = (
        f"share of calls whose usage is estimated or missing: amber above {GUESSED[0]:.0%}, red above {GUESSED[1]:.0%}"
    )
    estimated, calls = _counted(found, lambda one: one.estimated_calls)
    missing, _ = _counted(found, lambda one: one.missing_usage_calls)
    detail = f"{formats.count(estimated)} estimated, {formats.count(missing)} missing"
    light = _share_light(estimated + missing, calls, GUESSED)
    return State("guessed", "Usage not reported", light, formats.percent(estimated + missing, calls), detail, rule)


def _inconsistent(found: Health) -> State:
    rule = "amber from the first call whose usage contradicts itself"
    count, calls = _counted(found, lambda one: one.inconsistent_calls)
    light: Light = "none" if not calls else "amber" if count else "green"
    return State(
        "inconsistent", "Inconsistent usage", light, formats.many(count, "call"), "their cost is unknown", rule
    )


def _simulated(found: Health) -> State:
    rule = "amber where any call of the span carries the tag tollmeter.simulated"
    light: Light = "amber" if found.simulated else "green"
    value = "some made up" if found.simulated else "none made up"
    parts = ", ".join(name for name in found.simulated if name != _WHOLE)
    whole = "some calls are made up as a whole" if _WHOLE in found.simulated else ""
    said = "; ".join(part for part in (whole, f"of others: {parts}" if parts and whole else parts) if part)
    detail = said or "no call says it was made up"
    return State("simulated", "Simulated data", light, value, detail, rule)


def _files(found: Health) -> State:
    rule = (
        f"amber where a table has more than {FILES_PER_DAY} files for each of its days and they are small "
        f"(below {SMALL_BYTES >> 20} MiB on average): etl compact is due"
    )
    if not found.files:
        return State("files", "Files", "none", formats.NOTHING, "this engine does not tell of files", rule)
    due = [
        one.table
        for one in found.files
        if one.files > FILES_PER_DAY * max(one.days, 1) and one.bytes < SMALL_BYTES * one.files
    ]
    files, size = sum(one.files for one in found.files), sum(one.bytes for one in found.files)
    detail = f"{formats.compact(size)}B in all" + (f"; due: {', '.join(due)}" if due else "")
    return State("files", "Files", "amber" if due else "green", f"{formats.count(files)} files", detail, rule)


def _by(age: timedelta, fresh: timedelta, stale: timedelta) -> Light:
    return "green" if age <= fresh else "amber" if age <= stale else "red"


def _share_light(count: int, whole: int, limits: tuple[float, float]) -> Light:
    if not whole:
        return "none"
    share = count / whole
    return "green" if share <= limits[0] else "amber" if share <= limits[1] else "red"


def _counted(found: Health, of: Callable[..., int]) -> tuple[int, int]:
    return sum(of(one) for one in found.services), sum(one.calls for one in found.services)
