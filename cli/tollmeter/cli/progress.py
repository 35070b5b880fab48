"""Progress bars on a terminal, on stderr; nothing where nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tollmeter.cli.options import errors


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A callback that is told how many of how many are done."""
    if not errors.is_terminal:
        yield lambda _done, _total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def progress_counter(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A callback that is told how many more are done."""
    done = 0
    with progress_bar(label) as tell:

        def advance(more: int) -> None:
            nonlocal done
            done += more
            tell(done, total)

        yield advance
