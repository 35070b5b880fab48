"""Events spooled for a forwarder, and what became of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime

import zstandard

from tollmeter.model.events import Request, Run, decode, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings
from tollmeter.model.spool import OpenSegment, close_segment, create_segment, service_folder

SETTINGS = Settings.load({}, forward_interval_s=0.05)


WRITER = """
import os, sys, time
from pathlib import Path
from tollmeter.model.events import Request, encode, utc_now
from tollmeter.model.ids import new_event_id
from tollmeter.model.spool import create_segment, service_folder
segment = create_segment(service_folder(Path(sys.argv[1]), "chat"))
for _ in range(int(sys.argv[2])):
    event = Request(event_id=new_event_id(), timestamp=utc_now(), service="chat", duration_ms=1.0)
    os.write(segment.fd, encode(event))
    print(event.event_id, flush=True)
os.write(segment.fd, b'{"kind":"request","event_id":"to')
time.sleep(60)
"""


def write(home: Home, count: int, *, service: str = "chat", close: bool = True) -> tuple[list[str], OpenSegment]:
    segment = create_segment(service_folder(home.spool, service))
    ids = [new_event_id() for _ in range(count)]
    for event_id in ids:
        os.write(segment.fd, encode(Request(event_id=event_id, timestamp=datetime.now(UTC), service=service)))
    if close:
        close_segment(segment)
    return ids, segment


def raw_lines(home: Home) -> list[bytes]:
    objects = sorted(home.raw.glob("dt=*/hour=*/*.jsonl.zst"))
    return [line for path in objects for line in zstandard.decompress(path.read_bytes()).splitlines()]


def event_ids(lines: Iterable[bytes], *, service: str = "chat") -> list[str]:
    return [event.event_id for event in map(decode, lines) if event.service == service]


def runs(lines: Iterable[bytes]) -> list[Run]:
    return [event for event in map(decode, lines) if isinstance(event, Run)]


def spooled(home: Home) -> list[str]:
    return [path.name for path in home.spool.glob("*/*")]
