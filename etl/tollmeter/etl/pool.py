"""Lines judged by processes of their own, as many as there are cores, in the order in which they were read."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain, islice
from multiprocessing.connection import Connection, Pipe
from queue import SimpleQueue
from typing import Final, Self

from tollmeter.etl.judge import Judged, Judging, Piece, judge
from tollmeter.model.errors import TransientError

Task = list[Piece]

_CHILD: Final = "import sys, json; sys.path[:] = json.loads(sys.argv[2]); from tollmeter.etl.pool import serve; serve()"


def judged_in_order(tasks: Iterator[Task], how: Judging, workers: int | None, ahead: int) -> Generator[Judged]:
    """What becomes of each task, `ahead` of them under way or waiting while the caller does something else.

    One task alone is judged in this process, and so are all where there is one core or none may be used beside it.

    Raises:
        TransientError: a process died, and with it this run; nothing of what it judged has landed.
    """
    count = _cores() if workers is None else workers
    first = list(islice(tasks, 2))
    if len(first) > 1 and count > 1 and sys.executable:
        yield from _by_workers(chain(first, tasks), how, count, ahead)
    else:
        for task in chain(first, tasks):
            yield judge(task, how)


def serve() -> None:
    """Judge what comes through the file descriptor that the first argument names, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has it too, and closes the pipe
    gc.freeze()
    gc.disable()
    with Connection(int(sys.argv[1])) as pipe:
        try:
            while True:
                task, how = pipe.recv()
                pipe.send(judge(task, how))
                gc.collect()
        except (EOFError, OSError):
            return


def _by_workers(tasks: Iterator[Task], how: Judging, count: int, ahead: int) -> Iterator[Judged]:
    waiting: deque[Future[Judged]] = deque()
    with ExitStack() as stack:
        workers = [stack.enter_context(_Worker()) for _ in range(count)]
        threads = stack.enter_context(ThreadPoolExecutor(count))
        idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in workers:
            idle.put(worker)

        def ask(task: Task) -> Judged:
            worker = idle.get()
            try:
                return worker.ask(task, how)
            finally:
                idle.put(worker)

        @stack.callback
        def _stop() -> None:
            for future in waiting:
                future.cancel()
            for worker in workers:
                worker.kill()

        for task in tasks:
            waiting.append(threads.submit(ask, task))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Worker:
    """A process that judges, one task at a time."""

    def __enter__(self) -> Self:
        self._pipe, theirs = Pipe()
        with theirs:
            fd = theirs.fileno()
            command = [sys.executable, "-c", _CHILD, str(fd), json.dumps(sys.path)]
            self._process = subprocess.Popen(command, pass_fds=[fd], stdin=subprocess.DEVNULL)  # noqa: S603 - this very interpreter
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.wait()
        self._pipe.close()

    def kill(self) -> None:
        """End it at once; it holds nothing that anyone else does not."""
        self._process.kill()

    def ask(self, task: Task, how: Judging) -> Judged:
        try:
            self._pipe.send((task, how))
            found: Judged = self._pipe.recv()
        except (EOFError, OSError) as error:
            told = f"a process that judged lines ended with {self._process.wait()}"
            raise TransientError(f"{told}; run again, with less memory if the system was short of it") from error
        return found


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
