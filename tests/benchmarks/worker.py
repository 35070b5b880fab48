"""A process that runs what it is told and answers how much CPU that took."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


class Worker:
    """The parent's end of a worker: `python -m MODULE ARGUMENTS…`."""

    def __init__(self, module: str, *arguments: str, python: Path | None = None, path: str = "") -> None:
        command = [python or sys.executable, "-m", module, *arguments]
        environ = os.environ | ({"PYTHONPATH": path} if path else {})
        self._process = subprocess.Popen(
            command, cwd=TESTS, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, name: str, count: int) -> float:
        """CPU µs per turn."""
        return float(self.ask(name, count))

    def ask(self, name: str, count: int) -> str:
        """What the worker answers."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{count} {name}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def stop(self) -> None:
        """End the worker."""
        self._process.communicate(timeout=30)


def serve(timed: Callable[[str, int], Awaitable[object]]) -> None:
    """Answer `COUNT NAME` on stdin with what was timed, until stdin ends."""
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            count, _, name = line.strip().partition(" ")
            sys.stdout.write(f"{runner.run(_awaited(timed(name, int(count))))}\n")
            sys.stdout.flush()


async def _awaited(value: Awaitable[object]) -> object:
    return await value
