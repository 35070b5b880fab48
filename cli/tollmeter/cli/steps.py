"""A list of steps as they are taken: live on a terminal, plain lines where output is piped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tollmeter.cli.options import errors
from tollmeter.cli.progress import progress_bar


class Steps:
    """Tells on stderr what is being done and, once done, what came of it and how long it took."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Quiet steps say nothing."""
        self._quiet = quiet

    @contextmanager
    def step(self, label: str) -> Iterator[Step]:
        """One step; its `result` is told when the block ends well."""
        started, step = time.monotonic(), Step()
        if self._quiet:
            yield step
            return
        with progress_bar(label) as step.progress:
            yield step
        spent = f"{time.monotonic() - started:.1f} s"
        mark = "[green]✓[/green]" if errors.is_terminal else "-"
        errors.print(f"{mark} {label}: {step.result} [dim]({spent})[/dim]", highlight=False, soft_wrap=True)


class Step:
    """A step under way: where to tell progress (done, total), and what came of it."""

    def __init__(self) -> None:
        self.result = "done"
        self.progress: Callable[[int, int], None] = _nowhere


def _nowhere(_done: int, _total: int) -> None:
    """Progress that nobody watches."""
