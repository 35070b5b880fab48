"""The same service in lean mode and under every way of running OpenTelemetry: the same events, with the spans' ids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from sdks.venvs import PATHS, SETS, python_of

DRIVER: Final = SETS / "drivers" / "otel_setups.py"
VOLATILE: Final = frozenset(
    {
        "event_id", "timestamp", "instance", "request_id", "trace_id", "span_id", "parent_span_id", "duration_ms",
        "ttfb_ms", "latency_ms", "ttft_ms", "output_tokens_per_s", "steps", "steps_dropped",
    }
)  # fmt: skip
CALLER: Final = "00f067aa0ba902b7"
OURS: Final[dict[str, list[str]]] = {"/chat/{name}": ["answer"]}
WITH_THEIRS: Final[dict[str, list[str]]] = {
    "/chat/{name}": ["load profile", "answer", "plan"],
    "/background": ["ended in a thread", "ended in a task"],
    "/many": [f"part {number}" for number in range(8)],
}
CONTRIB, FASTAPI, ASGI = "opentelemetry.instrumentation.fastapi", "fastapi", "opentelemetry.instrumentation.asgi"


@dataclass(frozen=True)
class Case:
    """A setup, the scope of the server span that requests take their ids from, and the steps that they have."""

    setup: str
    server: str = ""
    mode: str = "auto"
    steps: dict[str, list[str]] | None = field(default=None, hash=False)
    venv: str = ""
    env: tuple[tuple[str, str], ...] = ()
    prefix: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.setup, self.mode, self.venv, *(key for key, _ in self.env))))


NOWHERE: Final = (("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1"))
CASES: Final = (
    Case("nothing", mode="lean", steps=OURS),
    Case("nothing", steps=OURS),
    Case("nothing", mode="otel"),
    Case("nothing", env=NOWHERE),
    Case("nothing", env=(*NOWHERE, ("OTEL_SDK_DISABLED", "true")), steps=OURS),
    Case("native", mode="lean", steps=OURS),
    Case("native", FASTAPI),
    Case("native_configured", FASTAPI, steps=OURS),  # the application's spans go to no provider
    Case("native_late", FASTAPI),
    Case("native_late", FASTAPI, mode="otel"),
    Case("native_auto_configure", FASTAPI, env=NOWHERE),
    Case("contrib_first", CONTRIB),
    Case("contrib_last", CONTRIB),
    Case("contrib_last", CONTRIB, mode="otel"),
    Case("contrib_without_provider_yet", CONTRIB),
    Case("starlette_middleware", "starlette"),
    Case("two_server_spans", FASTAPI),
    Case("around_the_app", ASGI),
    Case("any_asgi_app", ASGI),
    Case("no_server_span"),
    Case("unsampled"),
    Case("unsampled_unrecorded", steps=OURS),
    Case("noop", steps=OURS),
    Case("noop", mode="otel", steps=OURS),
    Case("http_client_instrumented", FASTAPI),
)
ELSEWHERE: Final = (
    Case("nothing", mode="otel", venv="otel-older-fastapi"),
    Case("native", CONTRIB, venv="otel-older-fastapi"),  # there is no native telemetry: contrib's is added
    Case("contrib_first", CONTRIB, venv="otel-older-fastapi"),
    Case("contrib_last", CONTRIB, venv="otel-older-fastapi"),
    Case("logfire", CONTRIB, venv="otel-services"),
    Case("contrib_first", CONTRIB, venv="otel-services"),
    Case("ddtrace", venv="ddtrace", steps=OURS, prefix="ddtrace-run"),
    Case("ddtrace", venv="ddtrace", steps=OURS, prefix="ddtrace-run", env=(("DD_TRACE_OTEL_ENABLED", "true"),)),
    Case("ddtrace", mode="otel", venv="ddtrace", steps=OURS, prefix="ddtrace-run",
         env=(("DD_TRACE_OTEL_ENABLED", "true"),)),
)  # fmt: skip
QUIET: Final = {
    "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
}


def run(*cases: Case) -> list[dict[str, Any]]:
    """What came of some cases that share an environment, a line each."""
    first = cases[0]
    python = python_of(first.venv) if first.venv else Path(sys.executable)
    prefix = [str(python.with_name(first.prefix))] if first.prefix else []
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "TOLLMETER_"))}
    early = dict(first.env) if first.prefix else {}
    env = clean | QUIET | early | {"PYTHONPATH": os.pathsep.join(map(str, PATHS))}
    asked = json.dumps([{"setup": case.setup, "mode": case.mode, "env": dict(case.env)} for case in cases])
    command = [*prefix, str(python), str(DRIVER), asked]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def lasting(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events without what differs from run to run."""
    return [{key: value for key, value in event.items() if key not in VOLATILE} for event in events]


@pytest.fixture(scope="module")
def results() -> dict[Case, dict[str, Any]]:
    return dict(zip(CASES, run(*CASES), strict=True))


@pytest.fixture(scope="module")
def lean(results: dict[Case, dict[str, Any]]) -> list[dict[str, Any]]:
    return lasting(results[CASES[0]]["events"])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_events_are_the_same_and_their_ids_are_those_of_the_spans(
    case: Case, results: dict[Case, dict[str, Any]], lean: list[dict[str, Any]]
) -> None:
    check(case, results[case], lean)


@pytest.mark.slow
@pytest.mark.parametrize("case", ELSEWHERE, ids=str)
def test_events_are_the_same_beside_what_needs_an_environment_of_its_own(
    case: Case, lean: list[dict[str, Any]]
) -> None:
    check(case, run(case)[0], lean)


def check(case: Case, found: dict[str, Any], lean: list[dict[str, Any]]) -> None:
    events, spans = found["events"], found["spans"]
    assert lasting(events) == lean
    assert len({event["event_id"] for event in events}) == len(events) == 7
    requests = [event for event in events if event["kind"] == "request"]
    calls = [event for event in events if event["kind"] == "llm_call"]
    steps = {event["route"]: [found["name"] for found in event.get("steps", [])] for event in requests}
    wanted = WITH_THEIRS if case.steps is None else case.steps
    assert {route: names for route, names in steps.items() if names} == wanted
    assert requests[3].get("steps_dropped", 0) == (12 if case.steps is None else 0)
    told = [event["span_id"] for event in events] + [step["span_id"] for r in requests for step in r.get("steps", [])]
    assert len(set(told)) == len(told)
    assert all(call["parent_span_id"] in told for call in calls)
    assert all(step["parent_span_id"] in told for request in requests for step in request.get("steps", []))
    assert {(call["trace_id"], call["request_id"]) for call in calls} == {
        (request["trace_id"], request["request_id"]) for request in requests if request.get("llm_calls")
    }
    if case.prefix != "ddtrace-run":  # it instruments the test's own client as well, whose span is the caller then
        assert requests[0]["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert requests[0]["parent_span_id"] == CALLER
    elif case.mode == "otel":
        assert requests[0]["span_id"] == found["answers"][0]["current"]
    if case.server:
        check_server_spans(case, requests, spans)


def check_server_spans(case: Case, requests: list[dict[str, Any]], spans: list[dict[str, Any]]) -> None:
    servers = [span for span in spans if span["kind"] == "SERVER" and span["scope"] == case.server]
    assert [(r["trace_id"], r["span_id"], r.get("parent_span_id", "")) for r in requests] == [
        (span["trace_id"], span["span_id"], span["parent_id"]) for span in servers
    ]
    by_id = {span["span_id"]: span for span in spans}
    for request in requests:
        for step in request.get("steps", []):
            assert by_id[step["span_id"]]["name"] == step["name"]
