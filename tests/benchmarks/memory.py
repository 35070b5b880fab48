"""Memory of a process and all it started, summed while it runs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PAUSE_S = 0.05
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Watched:
    """What a process printed, and the most memory that it and its children held at once, in bytes.

    `pss` counts a page that several share once, in parts; `rss` counts it for each.
    """

    stdout: str
    pss: int
    rss: int


def watched(command: Sequence[str]) -> Watched:
    """Run a command to its end.

    It may keep the bytecode of what it imports, as an installation does, whatever the environment says.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    pss = rss = 0
    while process.poll() is None:
        found = [_held(pid) for pid in _family(process.pid)]
        pss, rss = max(pss, sum(one for one, _ in found)), max(rss, sum(other for _, other in found))
        time.sleep(_PAUSE_S)
    stdout, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Watched(stdout, pss, rss)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(task).split():
            yield from _family(int(child))


def _held(pid: int) -> tuple[int, int]:
    fields = dict(line.split(":", 1) for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines() if ": " in line)
    return _bytes(fields.get("Pss", "0 kB")), _bytes(fields.get("Rss", "0 kB"))


def _bytes(told: str) -> int:
    return int(told.split(maxsplit=1)[0]) * _KIB


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended meanwhile
        return ""
