"""`opentelemetry-instrument uvicorn app:app` with Tollmeter as the distribution, alone and beside another one."""

from __future__ import annotations

import re
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from backend import Backend, running_backend
from sdks.venvs import ROOT, python_of
from serving import get, served, spooled, stop

from tollmeter.model.events import LlmCall, Request
from tollmeter.model.home import Home

SERVICE = """
import os
import httpx
from fastapi import FastAPI
from opentelemetry import trace

app = FastAPI(title="svc")
tracer = trace.get_tracer("app.orders")
llm = httpx.AsyncClient(base_url=os.environ["LLM_URL"])

@app.get("/chat/{name}")
async def chat(name: str):
    with tracer.start_as_current_span("plan"):
        answer = await llm.post("/v1/chat/completions", json={"model": "gpt-4o"})
    return answer.json()
"""


@pytest.fixture
def backend() -> Iterator[Backend]:
    with running_backend() as found:
        yield found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The metadata that tell of our entry points, as an installed wheel has them; from pyproject.toml itself."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    folder = tmp_path / "site" / "tollmeter-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: tollmeter\nVersion: 0.1.0\n")
    rows = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in found.items())
        for group, found in groups.items()
    ]
    (folder / "entry_points.txt").write_text("\n".join(rows))
    return folder.parent


def serve(tmp_path: Path, home: Home, backend: Backend, paths: tuple[Path, ...], python: Path, **env: str) -> str:
    """Three requests to the service under `opentelemetry-instrument`; what it logged."""
    prefix = (str(python.with_name("opentelemetry-instrument")),)
    environ = {
        "LLM_URL": backend.url,
        "TOLLMETER_PROVIDERS": f"{backend.url.removeprefix('http://')}=openai",
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    } | env
    with served(tmp_path, home, code=SERVICE, prefix=prefix, env=environ, python=python, paths=paths) as (process, url):
        assert [get(f"{url}/chat/{number}")[0] for number in range(3)] == [200, 200, 200]
        time.sleep(0.5)  # the last export
        stop(process)
    return (tmp_path / "service.log").read_text()


def told(home: Home) -> tuple[list[Request], list[LlmCall]]:
    events = spooled(home)
    requests = [event for event in events if isinstance(event, Request) and event.route]  # not the readiness check
    return requests, [event for event in events if isinstance(event, LlmCall)]


def check(home: Home, backend: Backend) -> None:
    """One row for each request and call, with the ids of the spans that the collector has."""
    requests, calls = told(home)
    assert [(r.route, r.llm_calls, [s.name for s in r.steps]) for r in requests] == [("/chat/{name}", 1, ["plan"])] * 3
    assert [(call.input_tokens, call.output_tokens, str(call.cost_usd)) for call in calls] == [
        (10, 5, "0.000075000000")
    ] * 3
    servers = backend.wait_for("GET /chat/{name}", 3)
    assert [r.span_id for r in requests] == [span["span_id"] for span in servers]
    plans = backend.wait_for("plan", 3)
    assert [call.parent_span_id for call in calls] == [span["span_id"] for span in plans]


def test_the_distribution_needs_no_code(tmp_path: Path, home: Home, backend: Backend) -> None:
    log = serve(tmp_path, home, backend, (), Path(sys.executable))
    check(home, backend)
    assert not re.search("error|Traceback|warning", log, re.IGNORECASE), log


def test_what_the_sampler_drops_is_recorded_and_not_exported(tmp_path: Path, home: Home, backend: Backend) -> None:
    serve(tmp_path, home, backend, (), Path(sys.executable), OTEL_TRACES_SAMPLER="always_off")
    requests, calls = told(home)
    assert backend.spans == []
    assert [[step.name for step in request.steps] for request in requests] == [["plan"]] * 3
    assert [call.parent_span_id for call in calls] == [request.steps[0].span_id for request in requests]


@pytest.mark.slow
def test_beside_another_distribution_it_runs_where_it_is_asked_for_by_name(
    tmp_path: Path, home: Home, backend: Backend, installed: Path
) -> None:
    paths = (ROOT / "instrumentation", installed)
    asked = {"OTEL_PYTHON_DISTRO": "tollmeter", "OTEL_PYTHON_CONFIGURATOR": "tollmeter"}
    serve(tmp_path, home, backend, paths, python_of("otel-services"), **asked)
    check(home, backend)
    # contrib's span of the HTTP client is exported as ever
    assert [span["scope"] for span in backend.wait_for("POST", 3)] == ["opentelemetry.instrumentation.httpx"] * 3


@pytest.mark.slow
def test_beside_another_distribution_it_stands_aside_unasked(
    tmp_path: Path, home: Home, backend: Backend, installed: Path
) -> None:
    paths = (ROOT / "instrumentation", installed)
    protocol = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}  # theirs would take gRPC, which is not installed
    log = serve(tmp_path, home, backend, paths, python_of("otel-services"), **protocol)
    assert told(home) == ([], [])
    assert len(backend.wait_for("GET /chat/{name}", 3)) == 3
    assert "Traceback" not in log
