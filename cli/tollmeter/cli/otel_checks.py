"""What `tollmeter doctor` says of OpenTelemetry in the service's environment, and of those who share it with us."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from tollmeter.cli.finding import Finding
from tollmeter.instrumentation.modes import AUTO, LEAN, OTEL, choose_mode, exports_traces, has_sdk, is_switched_off
from tollmeter.instrumentation.otel.conventions import installed_emitters, is_found
from tollmeter.instrumentation.otel.distro import ASKED_BY, DISTROS, NAME, others
from tollmeter.model.home import Home
from tollmeter.model.setting_row import PREFIX
from tollmeter.model.settings import Settings

Check = Callable[[Home, Settings], Iterator[Finding]]
_OTEL: Final = "opentelemetry.instrumentation"
_EXTRA: Final = "run pip install 'tollmeter[otel]'"
_LITELLM_SPAN: Final = "USE_OTEL_LITELLM_REQUEST_SPAN"
_SAME_SDK: Final = {
    "openai": (f"{_OTEL}.genai.openai", f"{_OTEL}.openai_v2", f"{_OTEL}.openai"),
    "anthropic": (f"{_OTEL}.genai.anthropic", f"{_OTEL}.anthropic", "anthropic._tracing"),
    "bedrock": (f"{_OTEL}.genai.bedrock", f"{_OTEL}.botocore", f"{_OTEL}.bedrock"),
    "google-genai": (f"{_OTEL}.google_genai", f"{_OTEL}.google_generativeai"),
}
"""Instrumentations that each make a span of the same model call."""

_HTTP_CLIENTS: Final = ("httpx", "aiohttp_client", "requests", "urllib3", "botocore")
_KEEPING: Final = ("", "always_on", "parentbased_always_on")
"""Samplers that keep what begins here."""

_AUTO_CONFIGURE: Final = "FASTAPI_OTEL_AUTO_CONFIGURE"
_NATIVE_SINCE: Final = (0, 165)


def mode(home: Home, settings: Settings) -> Iterator[Finding]:
    """Which mode fits?"""
    del home
    chosen, wanted = choose_mode(settings.mode), settings.mode
    otlp = [name for name in sorted(os.environ) if name.startswith("OTEL_EXPORTER_OTLP") and name.endswith("ENDPOINT")]
    why = otlp[0] if otlp else "a TracerProvider"
    if wanted == LEAN and exports_traces():
        text = f"lean, because mode=lean, though {why} is set: events do not have the ids of spans"
        yield Finding("mode", "finding", f"{text}; set {PREFIX}MODE=auto")
    elif not has_sdk() and (wanted == OTEL or (wanted == AUTO and exports_traces())):
        yield Finding("mode", "finding", f"lean, though {'mode=otel' if wanted == OTEL else why} is set: {_EXTRA}")
    elif is_switched_off() and wanted != LEAN:
        yield Finding("mode", "note", f"{chosen}; OTEL_SDK_DISABLED=true: there are no spans to take ids from")
    elif wanted != AUTO:
        yield Finding("mode", "ok", f"{chosen}, because mode={wanted}")
    elif chosen == OTEL:
        yield Finding("mode", "ok", f"otel, because {why} is set")
    else:
        yield Finding("mode", "ok", "lean: no TracerProvider and no OTEL_EXPORTER_OTLP_* endpoint here")
        yield Finding("mode", "note", "a provider that the service sets when it starts makes it otel: look with --app")


def foreign_spans(home: Home, settings: Settings) -> Iterator[Finding]:
    """Which other instrumentations tell of model calls, and are their calls seen?"""
    del home
    name, found = "spans of others", installed_emitters()
    if not found:
        yield Finding(name, "ok", "no other instrumentation of model calls is installed")
        return
    for sdk, modules in _SAME_SDK.items():
        if len(same := [module for module in modules if module in found]) > 1:
            text = f"{', '.join(same)} each make a span of the same call of {sdk}; it is one row"
            yield Finding(name, "note", f"{text}, but your traces have it twice: keep one")
    if choose_mode(settings.mode) != OTEL:
        text = (
            "lean mode reads no spans: a call of theirs that no tap sees is missed; choose mode=otel if there are any"
        )
        yield Finding(name, "note", f"installed: {', '.join(found)}; {text}")
        return
    yield Finding(name, "ok", f"a call that no tap sees is taken from the spans of {', '.join(found)}")
    if "litellm" in found and os.environ.get(_LITELLM_SPAN, "").lower() != "true":
        text = f"LiteLLM's callback gives a call below another span none of its own; set {_LITELLM_SPAN}=true"
        yield Finding(name, "note", f"{text}, or calls that no tap sees are counted as litellm_call_without_span")


def sampling(home: Home, settings: Settings) -> Iterator[Finding]:
    """Is what the sampler drops recorded?"""
    del home
    sampler = os.environ.get("OTEL_TRACES_SAMPLER", "").strip()
    if choose_mode(settings.mode) != OTEL or sampler in _KEEPING:
        return
    wanted = settings.record_unsampled
    if wanted == "always" or (wanted == "auto" and installed_emitters()):
        yield Finding("sampling", "ok", f"what {sampler} drops is recorded and not exported: its calls are counted")
        yield from _tracers()
        return
    advice = f"{PREFIX}RECORD_UNSAMPLED=always records them, at the cost of a span each"
    if installed_emitters():
        text = f"calls that only spans tell of are missed where {sampler} drops the trace"
        yield Finding("sampling", "finding", f"{text}; {advice}")
    else:
        text = f"where {sampler} drops the trace and your code sets the provider, your own spans are no steps"
        yield Finding("sampling", "note", f"{text}; {advice}")


def _tracers() -> Iterator[Finding]:
    from opentelemetry.sdk.trace import TracerProvider

    from tollmeter.instrumentation.otel.sampling import knows_tracers

    if not knows_tracers(TracerProvider(shutdown_on_exit=False)):
        text = (
            "this opentelemetry-sdk keeps no list of its tracers: those made before instrument() drop unsampled calls"
        )
        yield Finding("sampling", "finding", f"{text}; call instrument() first, or upgrade it")


def neighbours(home: Home, settings: Settings) -> Iterator[Finding]:
    """Who else makes spans of requests and calls here?"""
    del home
    name = "neighbours"
    if is_found("ddtrace"):
        text = "ddtrace is installed: it doubles no row, and its ids are not those of events"
        yield Finding(name, "note", f"{text}, unless DD_TRACE_OTEL_ENABLED=true, with mode=otel and the SDK installed")
    if choose_mode(settings.mode) != OTEL:
        return
    clients = [client for client in _HTTP_CLIENTS if is_found(f"{_OTEL}.{client}")]
    if clients:
        text = f"{', '.join(clients)} are instrumented: a model call has a span of its HTTP request as well"
        yield Finding(name, "note", f"{text}; it is one row")
    yield from _native(name)


def _native(name: str) -> Iterator[Finding]:
    if _fastapi() < _NATIVE_SINCE:
        return
    text = f"FastAPI {'.'.join(map(str, _fastapi()))} makes spans of its own as soon as a provider is set"
    yield Finding(
        name, "note", f"{text}, beside the server's those of its inner workings: telemetry={{'operation_spans': False}}"
    )
    if os.environ.get(_AUTO_CONFIGURE, "").lower() == "true" and exports_traces():
        text = f"{_AUTO_CONFIGURE}=true adds an exporter to whichever provider is set, though it exports already"
        yield Finding(name, "note", f"{text}: unset it where your code or opentelemetry-instrument sets one up")


def distribution(home: Home, settings: Settings) -> Iterator[Finding]:
    """Does `opentelemetry-instrument` start us?"""
    del home, settings
    found = [entry.name for entry in others(DISTROS)]
    asked = [variable for variable in ASKED_BY.values() if os.environ.get(variable) != NAME]
    if found and asked:
        text = f"opentelemetry-instrument starts {', '.join(found)}, not Tollmeter"
        yield Finding("distribution", "note", f"{text}; set {' and '.join(f'{v}={NAME}' for v in asked)} to have it")


OTEL_CHECKS: Final[tuple[Check, ...]] = (
    mode,
    foreign_spans,
    sampling,
    neighbours,
    distribution,
)


def _fastapi() -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in version("fastapi").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return (0,)
