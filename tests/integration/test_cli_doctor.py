from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tollmeter.model.home import Home
from tollmeter.model.spool import close_segment, create_segment, service_folder

TOLLMETER = str(Path(sys.executable).parent / "tollmeter")


def doctor(home: Home, app: str = "", **env: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    command = [TOLLMETER, "doctor", "--json", "--home", str(home.path), *(("--app", app) if app else ())]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "TOLLMETER_"))}
    out = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean | env, check=False)
    found: dict[str, list[tuple[str, str]]] = {}
    for finding in json.loads(out.stdout)["findings"]:
        found.setdefault(finding["check"], []).append((finding["level"], finding["text"]))
    return out.returncode, found


def test_a_fresh_home_has_seen_no_event(home: Home) -> None:
    code, found = doctor(home)
    assert code == 1
    assert found["first event"] == [("finding", f"none below {home.path}; start the service and send it a request")]
    assert found["where events go"][0] == ("ok", f"the spool at {home.spool}, because it can be written")
    assert found["mode"][0] == ("ok", "lean: no TracerProvider and no OTEL_EXPORTER_OTLP_* endpoint here")


def test_losses_on_events_are_added_up(home: Home) -> None:
    segment = create_segment(service_folder(home.spool, "chat"))
    os.write(
        segment.fd, b'{"kind":"request","losses":{"spool_full":2}}\n{"kind":"request","losses":{"spool_full":3}}\n'
    )
    close_segment(segment)
    code, found = doctor(home)
    assert code == 1
    assert found["lost"] == [("finding", "5 x spool_full")]
    assert found["first event"][0][1].startswith("1 segments in the spool (chat)")


def test_the_environment_decides_mode_and_route(home: Home) -> None:
    _, found = doctor(home, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318", TOLLMETER_ROUTE="stdout")
    assert found["mode"] == [("ok", "otel, because OTEL_EXPORTER_OTLP_ENDPOINT is set")]
    assert found["where events go"] == [("ok", "stdout, because TOLLMETER_ROUTE=stdout")]


def test_lean_mode_says_that_spans_of_others_are_not_read(home: Home) -> None:
    _, found = doctor(home)
    ((level, text),) = found["spans of others"]
    assert level == "note"
    assert text.startswith("installed: opentelemetry.instrumentation.genai.openai; lean mode reads no spans")
    assert "sampling" not in found


def test_otel_mode_says_whose_spans_become_calls_and_what_becomes_of_unsampled_ones(home: Home) -> None:
    _, found = doctor(home, TOLLMETER_MODE="otel", OTEL_TRACES_SAMPLER="always_off")
    names = "opentelemetry.instrumentation.genai.openai"
    assert found["spans of others"] == [("ok", f"a call that no tap sees is taken from the spans of {names}")]
    told = "what always_off drops is recorded and not exported: its calls are counted"
    assert found["sampling"] == [("ok", told)]


APP = """
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
from tollmeter.instrumentation import instrument

bare = FastAPI()
trace.set_tracer_provider(TracerProvider(TraceIdRatioBased(0.1)))
native = FastAPI(title="native")
instrument(native, record_unsampled="never")
lean = FastAPI(title="lean", telemetry={"tracing": False})
instrument(lean, mode="lean")
two = FastAPI(title="two", telemetry={"operation_spans": False})
two.add_middleware(OpenTelemetryMiddleware)
instrument(two, record_unsampled="always")
"""
SAMPLED = (
    "of traces that TraceIdRatioBased{0.1} drops, your spans are no steps;"
    " TOLLMETER_RECORD_UNSAMPLED=always records them"
)
INNER = (
    "FastAPI's own telemetry is on, by the provider that is set, with spans of its inner workings:"
    " FastAPI(telemetry={'operation_spans': False}) is cheaper"
)
TWO = (
    "starlette.middleware.opentelemetry and FastAPI's own telemetry each make a server span of a request;"
    " keep one: its ids are the outer one's, and you pay for both"
)


LEAN = "lean mode, though a TracerProvider is set: events do not have the ids of spans; leave mode at auto"
BARE = "conflicts:bare is not instrumented; call instrument(bare), or start it by `tollmeter run --` or"
BY_FASTAPI = ("ok", "by FastAPI's own telemetry")


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ("native", {"app": [("ok", "instrumented, in otel mode")], "server spans": [("note", INNER), BY_FASTAPI],
                    "sampling": [("note", SAMPLED)]}),
        ("lean", {"app": [("finding", LEAN)], "sampling": [("note", SAMPLED)]}),
        ("bare", {"app": [("finding", f"{BARE} opentelemetry-instrument")],
                  "server spans": [("note", INNER), BY_FASTAPI]}),
        ("two", {"app": [("ok", "instrumented, in otel mode")], "server spans": [("finding", TWO)]}),
    ],
)  # fmt: skip
def test_an_app_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: str, expected: dict[str, list[tuple[str, str]]]
) -> None:
    # Alone with the provider, or what one app does to its sampler the others would see.
    head, first, rest = APP.partition("bare = FastAPI()\n")
    lines = [line for line in rest.splitlines() if line.startswith((app, f"instrument({app}", "trace."))]
    (tmp_path / "conflicts.py").write_text(head + first + "\n".join(lines))
    monkeypatch.chdir(tmp_path)
    _, found = doctor(Home(tmp_path / "home"), app=f"conflicts:{app}")
    assert {name: found[name] for name in ("app", "server spans", "sampling") if name in found} == expected


def test_an_app_that_is_not_there_is_wrong_usage(home: Home) -> None:
    command = [TOLLMETER, "doctor", "--home", str(home.path), "--app", "nowhere:app"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (out.returncode, out.stderr) == (2, "tollmeter: --app nowhere:app: No module named 'nowhere'\n")


def test_a_bad_setting_is_wrong_usage(home: Home) -> None:
    command = [TOLLMETER, "doctor", "--home", str(home.path)]
    env = os.environ | {"TOLLMETER_MODE": "fast"}
    out = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)
    assert out.returncode == 2
    assert out.stderr == "tollmeter: TOLLMETER_MODE='fast' is not allowed: expected one of auto, lean, otel\n"
