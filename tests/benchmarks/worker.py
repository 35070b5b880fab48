"""A process that runs what it is told and answers the CPU it took; one per variant, so that variants cannot mix."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


class Worker:
    """The parent's end of a worker: `python -m MODULE ARGUMENTS…`."""

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        self._process = subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, name: str, count: int) -> float:
        """CPU µs per turn."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{count} {name}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def stop(self) -> None:
        """End the worker."""
        self._process.communicate(timeout=30)


def serve(turns: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
    """Answer `COUNT NAME` on stdin with the CPU µs per turn, all threads included, until stdin ends."""
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            number, _, name = line.strip().partition(" ")
            used = runner.run(_timed(turns[name], int(number)))
            sys.stdout.write(f"{used}\n")
            sys.stdout.flush()


async def _timed(turn: Callable[[], Awaitable[None]], count: int) -> float:
    start = time.process_time_ns()
    for _ in range(count):
        await turn()
    return (time.process_time_ns() - start) / count / 1000
