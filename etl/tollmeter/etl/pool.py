"""Slices judged and made into files by processes of their own, as many as there are cores, in order."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import chain, count, islice
from multiprocessing.connection import Connection, Pipe
from threading import Condition, Thread
from typing import Any, Final, Protocol, Self, TypeVar

from tollmeter.etl.judge import Judging
from tollmeter.etl.slices import Desk, Made, Order, Seen, Task
from tollmeter.model.errors import TransientError

_CHILD: Final = "import sys, json; sys.path[:] = json.loads(sys.argv[2]); from tollmeter.etl.pool import serve; serve()"
_HELD: Final = 2
"""Slices that a process holds at most: while one waits for what the lake says, the next is judged."""

T = TypeVar("T")
Files = dict[str, list[Made]]


class Work(Protocol):
    """A slice under way, here or elsewhere."""

    def seen(self) -> Seen:
        """What its lines are, once they are judged."""
        ...

    def order(self, orders: dict[str, Order]) -> None:
        """Ask once for files of its rows."""
        ...

    def made(self) -> Files:
        """The files, once they are made."""
        ...


class Crew:
    """The processes of a run, started once there is more than one slice at a time; to be closed.

    One slice alone is worked on in this process, and so are all where there is one core or none may be used beside it.
    """

    def __init__(self, processes: int | None = None) -> None:
        self._count = _cores() if processes is None else processes
        self._numbers = count()
        self._todo: deque[_Elsewhere] = deque()
        self._changed = Condition()
        self._workers: list[_Worker] = []
        self._threads: list[Thread] = []
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.kill()
        for thread in self._threads:
            thread.join()
        for worker in self._workers:
            worker.close()

    def work(self, tasks: Iterator[Task], how: Judging) -> Iterator[Work]:
        """Each task being worked on, some of them ahead of the one that the caller looks at.

        Raises:
            TransientError: a process died, and with it this run; nothing of what it made has landed.
        """
        first = list(islice(tasks, 2))
        if self._workers or (len(first) > 1 and self._count > 1 and sys.executable):
            self._start()
            yield from self._ahead(chain(first, tasks), how)
        else:
            for task in chain(first, tasks):
                yield _Here(task, how)

    def _ahead(self, tasks: Iterator[Task], how: Judging) -> Iterator[Work]:
        waiting: deque[Work] = deque()
        for task in tasks:
            waiting.append(self._begun(task, how))
            if len(waiting) > self._count * _HELD:
                yield waiting.popleft()
        yield from waiting

    def _begun(self, task: Task, how: Judging) -> Work:
        begun = _Elsewhere(self, next(self._numbers), task, how)
        with self._changed:
            self._todo.append(begun)
            self._changed.notify_all()
        return begun

    def ask(self, worker: _Worker, step: Callable[[], None]) -> None:
        """Let a process do a step as soon as it is free."""
        with self._changed:
            worker.steps.append(step)
            self._changed.notify_all()

    def _start(self) -> None:
        while len(self._workers) < self._count:
            worker = _Worker()
            self._workers.append(worker)
            self._threads.append(Thread(target=self._serve, args=(worker,), daemon=True))
            self._threads[-1].start()

    def _serve(self, worker: _Worker) -> None:
        while step := self._next(worker):
            step()

    def _next(self, worker: _Worker) -> Callable[[], None] | None:
        """What a process does next: files are made first, for what waits for them holds memory."""
        with self._changed:
            while not self._ended:
                if worker.steps:
                    return worker.steps.popleft()
                if self._todo and worker.held < _HELD:
                    worker.held += 1
                    return self._todo.popleft().judged_by(worker)
                self._changed.wait()
        return None


def serve() -> None:
    """Do what comes through the file descriptor that the first argument names, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has it too, and closes the pipe
    desk = Desk()
    gc.freeze()
    gc.disable()
    with Connection(int(sys.argv[1])) as pipe:
        try:
            while True:
                step, arguments = pipe.recv()
                pipe.send(getattr(desk, step)(*arguments))
                gc.collect()
        except (EOFError, OSError):
            return


class _Here:
    """A slice worked on by this process, when it is asked for."""

    def __init__(self, task: Task, how: Judging) -> None:
        self._desk, self._task, self._how = Desk(), task, how
        self._files: Files = {}

    def seen(self) -> Seen:
        return self._desk.judge(0, self._task, self._how)

    def order(self, orders: dict[str, Order]) -> None:
        self._files = self._desk.make(0, orders)

    def made(self) -> Files:
        return self._files


class _Elsewhere:
    """A slice worked on by another process."""

    def __init__(self, crew: Crew, number: int, task: Task, how: Judging) -> None:
        self._crew, self._number = crew, number
        self._asked: tuple[Task, Judging] | None = (task, how)
        self._worker: _Worker | None = None
        self._seen: Future[Seen] = Future()
        self._made: Future[Files] = Future()

    def seen(self) -> Seen:
        return self._seen.result()

    def order(self, orders: dict[str, Order]) -> None:
        worker = self._worker
        if worker:
            self._crew.ask(worker, lambda: self._make(worker, orders))

    def made(self) -> Files:
        return self._made.result()

    def judged_by(self, worker: _Worker) -> Callable[[], None]:
        """The step that lets a process judge the slice, whose lines are then let go of."""
        self._worker = worker

        def step() -> None:
            asked, self._asked = self._asked, None
            _fulfil(self._seen, lambda: worker.ask("judge", self._number, *(asked or ())))

        return step

    def _make(self, worker: _Worker, orders: dict[str, Order]) -> None:
        _fulfil(self._made, lambda: worker.ask("make", self._number, orders))
        worker.held -= 1


def _fulfil(future: Future[T], found: Callable[[], T]) -> None:
    try:
        future.set_result(found())
    except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
        future.set_exception(error)


class _Worker:
    """A process that does one step at a time, and what it has been asked for."""

    def __init__(self) -> None:
        self.steps: deque[Callable[[], None]] = deque()
        self.held = 0
        self._pipe, theirs = Pipe()
        with theirs:
            fd = theirs.fileno()
            command = [sys.executable, "-c", _CHILD, str(fd), json.dumps(sys.path)]
            self._process = subprocess.Popen(command, pass_fds=[fd], stdin=subprocess.DEVNULL)  # noqa: S603 - this very interpreter

    def kill(self) -> None:
        """End it at once; it holds nothing that anyone else does not."""
        self._process.kill()

    def close(self) -> None:
        self._process.wait()
        self._pipe.close()

    def ask(self, step: str, *arguments: object) -> Any:
        try:
            self._pipe.send((step, arguments))
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            told = f"a process that judged lines ended with {self._process.wait()}"
            raise TransientError(f"{told}; run again, with less memory if the system was short of it") from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
