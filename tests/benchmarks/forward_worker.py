"""Forwards the spool of a home once and tells what it took: run as `python -m benchmarks.forward_worker HOME SINK…`.

Prints a JSON object on stderr, for stdout may be a sink: CPU seconds of all threads, seconds, peak memory in MB, and
how the lines of each sink were accounted for. What importing takes is not in it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tollmeter.exporters.forwarder import Forwarder
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings


def _main(home: str, sinks: tuple[str, ...]) -> None:
    forwarder = Forwarder(Home(Path(home)), Settings.load(sinks=sinks))
    began, cpu = time.perf_counter(), time.process_time()
    report = forwarder.run_once()
    told = {
        "cpu_s": time.process_time() - cpu,
        "seconds": time.perf_counter() - began,
        "peak_mb": _peak_mb(),
        "waiting": report.waiting,
        "acknowledged": {sink: report.of(sink, "acknowledged") for sink in sinks},
    }
    report.check()
    sys.stderr.write(json.dumps(told) + "\n")


def _peak_mb() -> float:
    told = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in told if line.startswith("VmHWM"))


if __name__ == "__main__":
    _main(sys.argv[1], tuple(sys.argv[2:]))
