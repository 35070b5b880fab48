"""What `tollmeter doctor` looks at; each check is a function that returns findings."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from tollmeter.cli.finding import Finding
from tollmeter.cli.otel_checks import OTEL_CHECKS
from tollmeter.instrumentation.tap import TAPPED
from tollmeter.model.home import Home
from tollmeter.model.setting_row import PREFIX
from tollmeter.model.settings import Settings
from tollmeter.model.spool import CLOSED_SUFFIX, open_segments, read_lines
from tollmeter.sql.catalog import has_lake

_NETWORK_FS: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "efs", "glusterfs", "ceph"})
_UNTAPPED: Final = {
    "grpc": "Vertex AI's gRPC transport uses it",
}
_MAX_SEGMENTS: Final = 200


class _Losses(msgspec.Struct):
    losses: dict[str, int] = {}


def where_events_go(home: Home, settings: Settings) -> Iterator[Finding]:
    """Where do events go, and why?"""
    name = "where events go"
    if settings.route == "stdout":
        yield Finding(name, "ok", f"stdout, because {PREFIX}ROUTE=stdout")
        return
    folder = next(p for p in (home.spool, *home.spool.parents) if p.exists())
    if not os.access(folder, os.W_OK):
        yield Finding(name, "finding", f"stdout, because {folder} cannot be written; set {PREFIX}HOME")
        return
    yield Finding(name, "ok", f"the spool at {home.spool}, because it can be written")
    kind = _file_system(folder)
    if kind in _NETWORK_FS:
        yield Finding(name, "finding", f"{folder} is on {kind}: locks and appends are not safe there; use a local disk")


def first_event(home: Home, settings: Settings) -> Iterator[Finding]:
    """Has an event been seen, and how far did it come?"""
    del settings
    spooled = list(home.spool.glob(f"*/*{CLOSED_SUFFIX}"))
    raw = list(home.raw.glob("dt=*/hour=*/*.jsonl*"))
    landed = has_lake(home)
    if not (spooled or raw or landed):
        yield Finding("first event", "finding", f"none below {home.path}; start the service and send it a request")
        return
    services = sorted({path.parent.name for path in spooled})
    lake = "exists" if landed else "does not exist; run: tollmeter etl run"
    yield Finding(
        "first event",
        "ok",
        f"{len(spooled)} segments in the spool ({', '.join(services) or 'no service'}), {len(raw)} raw objects;"
        f" the lake {lake}",
    )
    left = [p for folder in home.spool.glob("*") for p in open_segments(folder)] + spooled
    if left and not (home.state / "forward").exists():
        yield Finding("forwarder", "finding", "the spool has never been forwarded; run: tollmeter forward")


def taps(home: Home, settings: Settings) -> Iterator[Finding]:
    """Which HTTP clients are seen?"""
    del home, settings
    seen = [name for name in TAPPED if importlib.util.find_spec(name)]
    yield Finding("taps", "ok", f"model calls are seen through {', '.join(seen) or 'nothing: no known client'}")
    for name, why in _UNTAPPED.items():
        if importlib.util.find_spec(name):
            yield Finding("taps", "note", f"{name} is installed and not tapped ({why}); use llm_call() for its calls")


def lost(home: Home, settings: Settings) -> Iterator[Finding]:
    """What was lost? Counts ride on events; those still in the spool are read here."""
    del settings
    totals: dict[str, int] = {}
    for path in sorted(home.spool.glob(f"*/*{CLOSED_SUFFIX}"))[-_MAX_SEGMENTS:]:
        for reason, count in _losses_in(path):
            totals[reason] = totals.get(reason, 0) + count
    for reason, count in sorted(totals.items()):
        yield Finding("lost", "finding", f"{count} x {reason}")
    if not totals:
        yield Finding("lost", "ok", "no loss is recorded in the spool; `tollmeter query losses` reads the lake")


def metric_series(home: Home, settings: Settings) -> Iterator[Finding]:
    """How many series do the metrics make, and what do they cost?"""
    from tollmeter.exporters.derive.dimensions import kept_series, monthly_price_usd
    from tollmeter.exporters.sinks import dimension_file

    if not {"cloudwatch_metrics", "cloudwatch_emf"} & set(settings.sinks):
        return
    series = kept_series(dimension_file(home, settings))
    count = sum(series.values())
    largest = ", ".join(f"{name} {n:,}" for name, n in sorted(series.items(), key=lambda item: -item[1])[:3])
    price = f"{monthly_price_usd(count):,.2f}"
    yield Finding(
        "metric series",
        "ok",
        f"{count:,} series of {len(series)} metrics, ${price} a month at CloudWatch's public price"
        f" (us-east-1); most: {largest or 'none yet'}; a dimension keeps {settings.dimension_limit} values",
    )


CHECKS: Final[tuple[Callable[[Home, Settings], Iterator[Finding]], ...]] = (
    where_events_go,
    first_event,
    taps,
    *OTEL_CHECKS,
    metric_series,
    lost,
)


def _losses_in(path: Path) -> Iterator[tuple[str, int]]:
    offset = 0
    while True:
        lines, after = read_lines(path, offset)
        for line in lines:
            if b'"losses"' in line:
                yield from msgspec.json.decode(line, type=_Losses).losses.items()
        if after == offset:
            return
        offset = after


def _file_system(path: Path) -> str:
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    best = ("", "unknown")
    for line in mounts.read_text().splitlines():
        _, point, kind = line.split()[:3]
        if path.is_relative_to(point) and len(point) > len(best[0]):
            best = (point, kind)
    return best[1]
