"""Which distribution `opentelemetry-instrument` starts, and what it finds in the environment then."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from tollmeter.instrumentation.otel import distro
from tollmeter.instrumentation.otel.sdk_setup import TollmeterConfigurator, TollmeterDistro, default_exporters

OURS = "tollmeter.instrumentation.otel.distro:"


class Theirs:
    """Another distribution's configurator."""


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    value = f"{__name__}:Theirs"

    def found(*, group: str) -> list[EntryPoint]:
        return [EntryPoint(name, value, group) for name in names]

    monkeypatch.setattr(distro, "entry_points", found)


@pytest.mark.parametrize("names", [("tollmeter",), ("tollmeter", "aws_distro"), ("aws_distro", "tollmeter")])
@pytest.mark.parametrize("asked", ["", "tollmeter", "aws_distro"])
def test_ours_is_started_alone_or_by_name(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], asked: str) -> None:
    installed(monkeypatch, *names)
    for variable in distro.ASKED_BY.values():
        monkeypatch.setenv(variable, asked) if asked else monkeypatch.delenv(variable, raising=False)
    is_ours = asked == "tollmeter" or (not asked and names == ("tollmeter",))
    assert isinstance(distro.distro(), TollmeterDistro) is is_ours
    found: Any = distro.configurator()
    assert isinstance(found, TollmeterConfigurator) is is_ours
    if not is_ours:
        assert type(found).__name__ == ("Theirs" if len(names) > 1 else "Nothing")
        assert distro.distro() is None


def test_without_the_sdk_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "tollmeter")
    monkeypatch.setattr(distro, "has_sdk", lambda: False)
    assert distro.distro() is None
    distro.configurator().configure(auto_instrumentation_version="0.66b2")


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ({}, {}),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
            dict.fromkeys(("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"), "otlp"),
        ),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318"}, {"OTEL_TRACES_EXPORTER": "otlp"}),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318", "OTEL_METRICS_EXPORTER": "none"}, {}),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {}),
    ],
)
def test_exporters_are_set_only_where_an_endpoint_is_and_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], added: dict[str, str]
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    monkeypatch.setattr(os, "environ", kept | given)
    default_exporters()
    found = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    assert found == {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"} | given | added
