"""CPU time of another process, and pinning to cores."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

SERVICE_CORE, LOAD_CORE = 0, 1


def cpu_ns(pid: int) -> int:
    """CPU time that all threads of a process have used, in ns: its CPU-time clock, finer than the ticks of /proc."""
    sched = 2
    return time.clock_gettime_ns((~pid << 3) | sched)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """This process, and those it starts meanwhile, on one core (where the machine has it)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def machine() -> str:
    """The machine in one line: cores, processor, Python."""
    import platform
    from pathlib import Path

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )
    return f"{os.cpu_count()} cores of {model}, {platform.python_implementation()} {platform.python_version()}"
