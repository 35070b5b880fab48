"""`instrument(app)`: settings, mode, writer, middleware and taps, put together."""

from __future__ import annotations

import atexit
import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

from tollmeter.instrumentation.active import use_recorder
from tollmeter.instrumentation.attribution import Attributor
from tollmeter.instrumentation.guard import logger, losses
from tollmeter.instrumentation.lambda_sandbox import in_lambda
from tollmeter.instrumentation.middleware import SCOPE_KEY, ASGIApp, Middleware
from tollmeter.instrumentation.modes import LEAN, Preparing, follow_provider, service_name, start_tracing
from tollmeter.instrumentation.recorder import Recorder
from tollmeter.instrumentation.tap import install_taps
from tollmeter.instrumentation.threads import carry_into_threads
from tollmeter.instrumentation.writer import Writer, choose_writer
from tollmeter.model.errors import TollmeterError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.model.spool import service_folder

App = TypeVar("App")
F = TypeVar("F", bound=Callable[..., Any])
_ATTRIBUTE: Final = "_tollmeter_middleware"
_MARK: Final = "_tollmeter_patched"
_ARGUMENTS: Final = 2  # of a Lambda handler


def instrument(app: App = None, *, writer: Writer | None = None, **settings: Any) -> App:  # type: ignore[assignment]
    """Instrument an app: every request and model call becomes an event. Returns the app.

    FastAPI and Starlette apps are instrumented in place; any other ASGI app is wrapped, so use what is returned.
    Without an app only model calls are recorded (scripts, workers). Settings are the rows of
    `docs/reference/settings.md`; `mode` is one of them. `writer` replaces the spool, for tests.

    Never raises into the host: if Tollmeter cannot start, that is logged with its reason and the app runs without it.
    """
    if isinstance(app, Middleware) or _is_recorded(app) or (hasattr(app, "__dict__") and _ATTRIBUTE in vars(app)):
        return app
    try:
        return _instrument(app, writer, settings)
    except TollmeterError as error:
        logger.error("tollmeter is off: %s", error)
    except Exception as error:  # noqa: BLE001  the host must start
        losses.fault("instrument", error)
    return app


@overload
def instrument_lambda(handler: F, /, **settings: Any) -> F: ...
@overload
def instrument_lambda(**settings: Any) -> Callable[[F], F]: ...
def instrument_lambda(handler: Any = None, /, **settings: Any) -> Any:
    """Instrument a Lambda handler: `@instrument_lambda`, or with settings `@instrument_lambda(service="digest")`.

    `instrument` does the same for any callable of two arguments; this is for those whose arguments do not show it.
    """
    if handler is None:
        return functools.partial(instrument_lambda, **settings)
    if is_handler(handler) or _is_recorded(handler):
        return instrument(handler, **settings)

    @functools.wraps(handler, assigned=("__doc__", "__name__", "__qualname__", "__module__"))
    def called(event: Any, context: Any) -> Any:
        return handler(event, context)

    del called.__wrapped__  # its signature is what hides the two arguments
    return instrument(called, **settings)


def _instrument(app: App, writer: Writer | None, arguments: dict[str, Any]) -> App:
    settings = Settings.load(**arguments)
    settings = settings.replace(service=settings.service or service_name(app) or _title(app))
    attributor = Attributor(settings)
    tracing = start_tracing(app, settings)
    folder = service_folder(Home.resolve(settings.home or None, settings).spool, settings.service)
    chosen, where = (writer, "the writer given") if writer is not None else choose_writer(folder, settings)
    recorder = Recorder(settings, chosen, tracing, attributor)
    follow_provider(recorder)
    use_recorder(recorder)
    install_taps()
    carry_into_threads()
    atexit.register(recorder.close)
    if settings.forward:
        _start_forwarder(settings)
    logger.info("tollmeter: %s mode for service %r; events go to %s", tracing.mode, settings.service, where)
    return _wrap(app, recorder)


def _wrap(app: App, recorder: Recorder) -> App:
    if app is None:
        return app
    if is_handler(app):
        from tollmeter.instrumentation.lambda_handler import Handler

        return Handler(app, recorder)  # type: ignore[arg-type, return-value]  # called as the handler is
    owner = next((cls for cls in type(app).__mro__ if "__call__" in vars(cls)), None)
    if owner is None or not hasattr(app, "router"):
        return _prepared(app, _middleware(app, recorder))  # type: ignore[arg-type, return-value]  # any ASGI callable
    inner: ASGIApp = functools.partial(_patched(owner), app)
    setattr(app, _ATTRIBUTE, _prepared(app, _middleware(inner, recorder)))
    return app


def is_handler(app: object) -> bool:
    """Whether it is called with an event and a context; an ASGI app takes three arguments."""
    return callable(app) and _takes(app, _ARGUMENTS) and not _takes(app, _ARGUMENTS + 1)


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except (TypeError, ValueError):  # other arguments, or none that can be known
        return False
    return True


def _is_recorded(handler: object) -> bool:
    """Whether it is a Lambda handler that is instrumented already."""
    return getattr(type(handler), "is_recorded", None) is True


def _middleware(app: ASGIApp, recorder: Recorder) -> Middleware:
    if not in_lambda():
        return Middleware(app, recorder)
    from tollmeter.instrumentation.lambda_asgi import LambdaMiddleware

    return LambdaMiddleware(app, recorder)


def middleware_of(app: object) -> Middleware | None:
    """Ours on an app, if it is instrumented."""
    found = app if isinstance(app, Middleware) else vars(app).get(_ATTRIBUTE) if hasattr(app, "__dict__") else None
    return found if isinstance(found, Middleware) else None


def _prepared(app: object, middleware: Middleware) -> Middleware:
    if middleware.recorder.settings.mode != LEAN:
        Preparing(app, middleware)
    return middleware


def _patched(owner: type[Any]) -> Any:
    """Make the class's `__call__` go through the middleware of instances that have one; returns the original.

    On the class, because that is outermost whatever else wraps the app's middleware stack, before us or after.
    """
    current = owner.__call__
    if hasattr(current, _MARK):
        return getattr(current, _MARK)

    @functools.wraps(current)
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        middleware = vars(self).get(_ATTRIBUTE)
        if middleware is None or SCOPE_KEY in scope:
            await current(self, scope, receive, send)
        else:
            await middleware(scope, receive, send)

    setattr(call, _MARK, current)
    owner.__call__ = call
    return current


def _title(app: object) -> str:
    title = getattr(app, "title", "")
    return title if isinstance(title, str) and title and title != "FastAPI" else "unnamed"


def _start_forwarder(settings: Settings) -> None:
    import subprocess

    parent = ["--exit-with-parent", "--parent-pid", str(os.getpid())]
    command = [sys.executable, "-m", "tollmeter.cli.main", "forward", *parent]
    if settings.home:
        command += ["--home", settings.home]
    subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603  our own command
