"""What `tollmeter doctor --app` says of one app, as it is once it is imported."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tollmeter.cli.finding import Finding
from tollmeter.instrumentation.install import middleware_of
from tollmeter.instrumentation.modes import LEAN, provider_of
from tollmeter.model.errors import UsageError
from tollmeter.model.setting_row import PREFIX

_NAME: Final = "app"
_CONTRIB: Final = "contrib's FastAPIInstrumentor"


def look_at(spelling: str) -> list[Finding]:
    """Import an app and look at it.

    Raises:
        UsageError: there is no such app.
    """
    os.environ[f"{PREFIX}FORWARD"] = "false"  # looking must not start anything
    app = _imported(spelling)
    return [*_instrumented(app, spelling), *_server_spans(app), *_sampler(app)]


def _imported(spelling: str) -> Any:
    module, _, attribute = spelling.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), attribute or "app")
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--app {spelling}: {error}") from None


def _instrumented(app: Any, spelling: str) -> Iterator[Finding]:
    middleware = middleware_of(app)
    if middleware is None:
        text = f"{spelling} is not instrumented; call instrument({spelling.rpartition(':')[2]})"
        yield Finding(_NAME, "finding", f"{text}, or start it by `tollmeter run --` or opentelemetry-instrument")
        return
    mode = middleware.recorder.tracing.mode
    if mode == LEAN and provider_of(app) is not None:
        text = "lean mode, though a TracerProvider is set: events do not have the ids of spans"
        yield Finding(_NAME, "finding", f"{text}; leave mode at auto")
    else:
        yield Finding(_NAME, "ok", f"instrumented, in {mode} mode")


def _server_spans(app: Any) -> Iterator[Finding]:
    """Whoever makes a server span of each request."""
    found = [entry.cls.__module__ for entry in getattr(app, "user_middleware", ()) if _is_otel(entry.cls)]
    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        found.append(_CONTRIB)
    native = getattr(app, "_native_telemetry", None)
    # FastAPI looks for contrib's middleware, not for Starlette's, and steps aside.
    is_contrib = any("opentelemetry.instrumentation" in name or name == _CONTRIB for name in found)
    if native is not None and native.enabled() and native.config["tracing"] and not is_contrib:
        found.append("FastAPI's own telemetry")
        if native.config["operation_spans"]:
            text = "FastAPI's own telemetry is on, by the provider that is set, with spans of its inner workings"
            yield Finding("server spans", "note", f"{text}: FastAPI(telemetry={{'operation_spans': False}}) is cheaper")
    if len(found) > 1:
        text = f"{' and '.join(found)} each make a server span of a request"
        yield Finding("server spans", "finding", f"{text}; keep one: its ids are the outer one's, and you pay for both")
    elif found:
        yield Finding("server spans", "ok", f"by {found[0]}")


def _sampler(app: Any) -> Iterator[Finding]:
    provider = provider_of(app)
    if provider is None or middleware_of(app) is None:
        return
    told = provider.sampler.get_description()
    if not told.startswith(("AlwaysOn", "ParentBased{root:AlwaysOn", "RecordUnsampled")):
        text = f"of traces that {told} drops, your spans are no steps"
        yield Finding("sampling", "note", f"{text}; {PREFIX}RECORD_UNSAMPLED=always records them")


def _is_otel(cls: type[Any]) -> bool:
    return cls.__name__ == "OpenTelemetryMiddleware"
