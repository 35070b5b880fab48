"""`job`: background work and cron runs, each a request of method JOB."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tollmeter.instrumentation.work import Work, WorkBlock
from tollmeter.model.names import METHOD_JOB

if TYPE_CHECKING:
    from tollmeter.instrumentation.recorder import Recorder

F = TypeVar("F", bound=Callable[..., Any])


class job(WorkBlock):  # noqa: N801  reads as a statement: with job("nightly-digest"):
    """Record what runs inside as a request of method JOB, its route the job's name: `with job("nightly-digest"):`.

    Also `async with`, and a decorator of plain and of coroutine functions: `@job("nightly-digest")`. An exception
    that leaves it is the `error_type`, and goes on. Inside of a request it is a request of its own in the same trace.
    The name is a metric's dimension: leave ids out of it, `annotate(tags=…)` takes them.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def _open(self, recorder: Recorder) -> Work:
        return Work(recorder, method=METHOD_JOB, route=self._name)

    def __call__(self, function: F) -> F:
        """The function, each call of which is one run of the job."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                async with job(self._name):
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value]  # the same signature

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with job(self._name):
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]  # the same signature
