"""What doctor says of OpenTelemetry in an environment: each conflict, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from tollmeter.cli import otel_checks
from tollmeter.cli.otel_checks import distribution, foreign_spans, mode, neighbours, sampling
from tollmeter.instrumentation import modes
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

OTEL = "opentelemetry.instrumentation"
OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
Told = list[tuple[str, str]]
Look = Callable[..., Told]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Look:
    """A check in an environment that has only what is said."""

    def told(
        check: otel_checks.Check,
        env: dict[str, str] | None = None,
        *,
        found: tuple[str, ...] = (),
        sdk: bool = True,
        fastapi: tuple[int, ...] = (0, 129),
        **settings: Any,
    ) -> Told:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "FASTAPI_", "DD_"))}
        monkeypatch.setattr(os, "environ", clean | (env or {}))
        for module in (modes, otel_checks):
            monkeypatch.setattr(module, "has_sdk", lambda: sdk)
        monkeypatch.setattr(otel_checks, "installed_emitters", lambda: list(found))
        monkeypatch.setattr(otel_checks, "is_found", lambda name: name in found)
        monkeypatch.setattr(otel_checks, "_fastapi", lambda: fastapi)
        return [(f.level, f.text) for f in check(Home(Path("/nowhere")), Settings.load(**settings))]

    return told


def test_lean_by_setting_where_traces_are_exported_is_a_conflict(look: Look) -> None:
    text = (
        "lean, because mode=lean, though OTEL_EXPORTER_OTLP_ENDPOINT is set: events do not have the ids of spans;"
        " set TOLLMETER_MODE=auto"
    )
    assert look(mode, OTLP, mode="lean") == [("finding", text)]
    assert look(mode, OTLP | {"OTEL_TRACES_EXPORTER": "none"}, mode="lean") == [("ok", "lean, because mode=lean")]


@pytest.mark.parametrize(
    ("env", "wanted", "why"),
    [({}, "otel", "mode=otel"), (OTLP, "auto", "OTEL_EXPORTER_OTLP_ENDPOINT"), (OTLP, "otel", "mode=otel")],
)
def test_the_missing_extra_is_named(look: Look, env: dict[str, str], wanted: str, why: str) -> None:
    text = f"lean, though {why} is set: run pip install 'tollmeter[otel]'"
    assert look(mode, env, sdk=False, mode=wanted) == [("finding", text)]


def test_a_switched_off_sdk_is_named(look: Look) -> None:
    text = "lean; OTEL_SDK_DISABLED=true: there are no spans to take ids from"
    assert look(mode, OTLP | {"OTEL_SDK_DISABLED": "true"}) == [("note", text)]


def test_two_instrumentations_of_one_sdk_are_named(look: Look) -> None:
    same = (f"{OTEL}.genai.openai", f"{OTEL}.openai_v2")
    first, second = look(foreign_spans, found=same, mode="otel")
    text = f"{same[0]}, {same[1]} each make a span of the same call of openai; it is one row, but your traces have it"
    assert first == ("note", f"{text} twice: keep one")
    assert second == ("ok", f"a call that no tap sees is taken from the spans of {same[0]}, {same[1]}")
    assert len(look(foreign_spans, found=same[:1], mode="otel")) == 1


@pytest.mark.parametrize(
    ("found", "wanted", "level"),
    [
        ((f"{OTEL}.genai.openai",), "auto", "ok"),
        ((f"{OTEL}.genai.openai",), "never", "finding"),
        ((), "always", "ok"),
        ((), "auto", "note"),
        ((), "never", "note"),
    ],
)
def test_the_gap_of_a_ratio_sampler_is_named(look: Look, found: tuple[str, ...], wanted: str, level: str) -> None:
    env = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.05"}
    ((told, text),) = look(sampling, env, found=found, mode="otel", record_unsampled=wanted)
    assert told == level
    assert text.endswith(
        "its calls are counted"
        if level == "ok"
        else "TOLLMETER_RECORD_UNSAMPLED=always records them, at the cost of a span each"
    )
    assert look(sampling, {"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, mode="otel") == []
    assert look(sampling, env, mode="lean") == []


def test_instrumented_http_clients_and_ddtrace_are_named(look: Look) -> None:
    found = (f"{OTEL}.httpx", f"{OTEL}.botocore", "ddtrace")
    ddtrace, clients = look(neighbours, found=found, mode="otel")
    assert ddtrace[1].startswith("ddtrace is installed: it doubles no row")
    text = "httpx, botocore are instrumented: a model call has a span of its HTTP request as well; it is one row"
    assert clients == ("note", text)
    assert look(neighbours, found=found[:1], mode="lean") == []


def test_fastapis_own_telemetry_is_named_and_so_is_a_second_exporter(look: Look) -> None:
    ((level, text),) = look(neighbours, fastapi=(0, 165), mode="otel")
    assert (level, text[:68]) == ("note", "FastAPI 0.165 makes spans of its own as soon as a provider is set, b")
    env = OTLP | {"FASTAPI_OTEL_AUTO_CONFIGURE": "true"}
    text = "FASTAPI_OTEL_AUTO_CONFIGURE=true adds an exporter to whichever provider is set, though it exports already"
    text += ": unset it where your code or opentelemetry-instrument sets one up"
    assert look(neighbours, env, fastapi=(0, 165), mode="otel")[1] == ("note", text)


def test_another_distribution_is_named(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otel_checks, "others", lambda group: [EntryPoint("aws_distro", "aws:Distro", group)])
    text = "opentelemetry-instrument starts aws_distro, not Tollmeter; set OTEL_PYTHON_DISTRO=tollmeter"
    assert look(distribution) == [("note", f"{text} and OTEL_PYTHON_CONFIGURATOR=tollmeter to have it")]
    asked = {"OTEL_PYTHON_DISTRO": "tollmeter", "OTEL_PYTHON_CONFIGURATOR": "tollmeter"}
    assert look(distribution, asked) == []
    monkeypatch.setattr(otel_checks, "others", lambda _: [])
    assert look(distribution) == []
