"""Which mode an app runs in, and when that is decided: at `instrument()`, or once a tracer provider is set."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from tollmeter.instrumentation.guard import guarded, logger
from tollmeter.instrumentation.tap.import_hook import after_import
from tollmeter.instrumentation.tracing import LeanTracing, OpenStep, Tracing

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call
    from tollmeter.instrumentation.context import RequestContext
    from tollmeter.instrumentation.middleware import Middleware
    from tollmeter.instrumentation.recorder import Recorder
    from tollmeter.model.settings import Settings

LEAN: Final = "lean"
OTEL: Final = "otel"
AUTO: Final = "auto"
OTLP_SETTINGS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

_undecided: Final[WeakSet[Recorder]] = WeakSet()
"""Recorders whose mode changes once somebody sets a provider."""
_deciding: Final = threading.RLock()
_MARK: Final = "_tollmeter_watches"


def choose_mode(mode: str, app: object = None) -> str:
    """Resolve `auto`: otel where a real TracerProvider or OTLP settings exist and the SDK is installed, else lean."""
    if mode == LEAN or not has_sdk():
        return LEAN
    if mode == OTEL:
        return OTEL
    return OTEL if not is_switched_off() and (exports_traces() or provider_of(app)) else LEAN


def exports_traces() -> bool:
    """Whether the environment names an endpoint that traces go to."""
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    return exporter != "none" and any(os.environ.get(name) for name in OTLP_SETTINGS)


def is_switched_off() -> bool:
    """Whether the environment says that the SDK does nothing."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def has_sdk() -> bool:
    """Whether OpenTelemetry's SDK is installed."""
    return bool(importlib.util.find_spec("opentelemetry") and importlib.util.find_spec("opentelemetry.sdk"))


def provider_of(app: object) -> Any:
    """The SDK's provider that an app's spans go to, if one is set; nothing is imported to find out."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return None
    from tollmeter.instrumentation.otel.provider import app_provider, sdk_provider

    return app_provider(app) or sdk_provider()


def service_name(app: object) -> str:
    """What OpenTelemetry's resource calls the service; empty where it does not say, or nothing is set up."""
    provider = provider_of(app)
    if provider is None:
        return ""
    from tollmeter.instrumentation.otel.provider import service_of

    return service_of(provider)


def start_tracing(app: object, settings: Settings) -> Tracing:
    """The tracing of an app as far as it can be known at `instrument()`."""
    if settings.mode == OTEL and not has_sdk():
        logger.error("tollmeter: lean mode, since OTel mode needs more: run pip install 'tollmeter[otel]'")
    if choose_mode(settings.mode, app) == LEAN:
        return LeanTracing(settings)
    from tollmeter.instrumentation.otel.provider import is_unset

    if is_unset() and provider_of(app) is None:
        return Undecided(app)
    return _otel(app, settings) or LeanTracing(settings)


def follow_provider(recorder: Recorder) -> None:
    """Where a provider may be set yet, take OTel mode as soon as it is."""
    settings, tracing = recorder.settings, recorder.tracing
    if isinstance(tracing, Undecided) or (settings.mode == AUTO and tracing.mode == LEAN and not is_switched_off()):
        _undecided.add(recorder)
        after_import("opentelemetry.trace", _watch_setting)


class Undecided:
    """OTel mode before a provider is set: the service's own is waited for until it has started, then one is made."""

    mode = OTEL

    def __init__(self, app: object) -> None:
        self._app = app

    def begin(self, context: RequestContext, headers: dict[bytes, bytes]) -> None:
        """The last moment to decide."""
        self._decide(context.recorder).begin(context, headers)

    def adopt(self, context: RequestContext) -> None:
        """No request has begun, or this would be decided."""

    def start_step(self, name: str) -> OpenStep | None:
        """No request has begun, or this would be decided."""
        del name
        return None

    def begin_call(self, call: Call) -> tuple[str, str]:
        """The last moment to decide."""
        return self._decide(call.recorder).begin_call(call)

    def context_headers(self, call: Call) -> Mapping[str, str]:
        """The last moment to decide."""
        return self._decide(call.recorder).context_headers(call)

    def end_call(self, call: Call) -> None:
        """No call has begun, or this would be decided."""

    def started(self, recorder: Recorder) -> None:
        """Nobody has set a provider while the service started."""
        self._decide(recorder)

    def _decide(self, recorder: Recorder) -> Tracing:
        with _deciding:
            if recorder.tracing is self:
                _undecided.discard(recorder)
                recorder.tracing = _otel(self._app, recorder.settings) or LeanTracing(recorder.settings)
            return recorder.tracing


class Preparing:
    """Stands in for an app until its first connection, the last moment at which its middleware can be changed."""

    def __init__(self, app: Any, middleware: Middleware) -> None:
        self._app = app
        self._inner = middleware.app
        self._middleware = middleware
        middleware.app = self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Put the app in place, prepared, and call it."""
        self._middleware.app = self._inner
        self._prepare()
        await self._inner(scope, receive, send)

    @guarded(default=None)
    def _prepare(self) -> None:
        if self._middleware.recorder.tracing.mode == OTEL:
            from tollmeter.instrumentation.otel.server_spans import prepare

            prepare(self._app)


@guarded(default=None)
def _otel(app: object, settings: Settings) -> Tracing:
    from tollmeter.instrumentation.tracing_otel import start_otel

    return start_otel(app, settings)


def _watch_setting(module: ModuleType) -> None:
    # The public function calls the private one, also where it was imported by name before this ran.
    name = "_set_tracer_provider" if hasattr(module, "_set_tracer_provider") else "set_tracer_provider"
    original: Callable[..., None] = getattr(module, name)
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def set_provider(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        _provider_was_set()

    setattr(set_provider, _MARK, True)
    setattr(module, name, set_provider)


@guarded(default=None)
def _provider_was_set() -> None:
    if provider_of(None) is None:
        return
    with _deciding:
        for recorder in list(_undecided):
            _undecided.discard(recorder)
            recorder.tracing = _otel(None, recorder.settings) or recorder.tracing
            logger.info("tollmeter: otel mode for service %r, since a TracerProvider is set", recorder.settings.service)
