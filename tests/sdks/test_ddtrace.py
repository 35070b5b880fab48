"""A service under ddtrace, whichever of the two comes first, with an agent and without one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from backend import Backend, running_backend
from sdks.venvs import ROOT, python_of
from serving import get, served, spooled, stop

from tollmeter.model.events import LlmCall, Request
from tollmeter.model.home import Home

pytestmark = pytest.mark.slow

SERVICE: Final = """
import os
{first}
import httpx2
from fastapi import FastAPI
from tollmeter.instrumentation import instrument, step

app = FastAPI(title="svc")
instrument(app)
{last}
llm = httpx2.AsyncClient(base_url=os.environ["LLM_URL"])

@app.get("/chat/{{name}}")
async def chat(name: str):
    with step("answer"):
        answer = await llm.post("/v1/chat/completions", json={{"model": "gpt-4o"}})
    return answer.json()

@app.get("/boom")
def boom():
    raise ValueError("boom")
"""
ORDERS: Final = {
    "ddtrace-run": ("", ""),
    "imported before": ("import ddtrace.auto", ""),
    "imported after": ("", "import ddtrace.auto"),
}


@pytest.fixture
def backend() -> Iterator[Backend]:
    with running_backend() as found:
        yield found


@pytest.mark.parametrize("agent", ["there", "absent"])
@pytest.mark.parametrize("order", ORDERS)
def test_each_request_and_call_is_one_row(tmp_path: Path, home: Home, backend: Backend, order: str, agent: str) -> None:
    first, last = ORDERS[order]
    python = python_of("ddtrace")
    env = {
        "LLM_URL": backend.url,
        "TOLLMETER_PROVIDERS": f"{backend.url.removeprefix('http://')}=openai",
        "DD_TRACE_AGENT_URL": backend.url if agent == "there" else "http://127.0.0.1:9",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_SERVICE": "svc",
    }
    prefix = (str(python.with_name("ddtrace-run")),) if order == "ddtrace-run" else ()
    code = SERVICE.format(first=first, last=last)
    paths = (ROOT / "instrumentation",)
    with served(tmp_path, home, code=code, prefix=prefix, env=env, python=python, paths=paths) as (process, url):
        assert [get(url + path)[0] for path in ("/chat/1", "/chat/2", "/boom")] == [200, 200, 500]
        deadline = time.monotonic() + 10
        while agent == "there" and not any("traces" in path for path in backend.paths):
            assert time.monotonic() < deadline, backend.paths
            time.sleep(0.1)
        stop(process)
    events = spooled(home)
    requests = [event for event in events if isinstance(event, Request) and event.route]
    calls = [event for event in events if isinstance(event, LlmCall)]
    assert [(r.route, r.status_code, r.error_type, r.llm_calls, [s.name for s in r.steps]) for r in requests] == [
        ("/chat/{name}", 200, "", 1, ["answer"]),
        ("/chat/{name}", 200, "", 1, ["answer"]),
        ("/boom", 500, "ValueError", 0, []),
    ]
    assert [(c.input_tokens, str(c.cost_usd), c.parent_span_id) for c in calls] == [
        (10, "0.000075000000", request.steps[0].span_id) for request in requests[:2]
    ]
    assert not any(event.losses for event in events)
    assert "tollmeter:" not in (tmp_path / "service.log").read_text()
