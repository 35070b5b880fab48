"""The request goes along into threads: `run_in_executor`, thread pools and plain threads do not copy context variables.

Only our own variables are carried: copying all of them would share what other libraries keep there, such as the
mutable context of `decimal`.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any, Final

from tollmeter.instrumentation.context import CARRIED, current_request
from tollmeter.instrumentation.guard import guarded
from tollmeter.instrumentation.tap.import_hook import after_import

_MARK: Final = "_tollmeter_carries"
_POOLS: Final = ("concurrent.futures.thread", "multiprocessing.pool")
"""Where threads come from that outlive the request which happened to start them."""


def carried(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that will run as a part of the request, step and limits that are current now."""
    values: list[tuple[ContextVar[Any], Any]] = [(variable, variable.get()) for variable in CARRIED]

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        tokens = [(variable, variable.set(value)) for variable, value in values]
        try:
            return function(*args, **kwargs)
        finally:
            for variable, token in tokens:
                variable.reset(token)

    return run


def carry_into_threads() -> None:
    """Patch thread pools and plain threads, once for the process; threads of a class of its own are left alone."""
    after_import(_POOLS[0], _patch_pool)
    if not hasattr(threading.Thread.start, _MARK):
        threading.Thread.start = _carrying_start(threading.Thread.start)  # type: ignore[method-assign]


def _patch_pool(module: ModuleType) -> None:
    pool = module.ThreadPoolExecutor
    if not hasattr(pool.submit, _MARK):
        pool.submit = _carrying_submit(pool.submit)


def _carrying_submit(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return original(self, fn if current_request() is None else _carried(fn) or fn, *args, **kwargs)

    setattr(submit, _MARK, True)
    return submit


def _carrying_start(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        if current_request() is not None:
            _carry_run(self)
        original(self)

    setattr(start, _MARK, True)
    return start


@guarded(default=None)
def _carried(function: Callable[..., Any]) -> Callable[..., Any]:
    return carried(function)


@guarded(default=None)
def _carry_run(thread: Any) -> None:
    kind = type(thread)
    target = getattr(thread, "_target", None)
    if kind is threading.Thread and target is not None and getattr(target, "__module__", "") not in _POOLS:
        thread._target = carried(target)  # noqa: SLF001  `run` would stay bound, and hold the thread in a cycle
    elif kind is threading.Timer:
        thread.function = carried(thread.function)
