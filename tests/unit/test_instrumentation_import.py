"""What is loaded of ours in a service that makes no model call: modules are told, since time depends on the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, json, sys
import fastapi

before = set(sys.modules)
def told():
    return sorted(set(sys.modules) - before)

from tollmeter.instrumentation import annotate, instrument, step
imported = told()
app = fastapi.FastAPI()
instrument(app, mode="lean", home=sys.argv[1], service="light")
instrumented = told()

@app.get("/ping")
async def ping():
    annotate(tenant_id="acme")
    with step("look up"):
        return {}

async def request():
    scope = {"type": "http", "method": "GET", "path": "/ping", "query_string": b"", "headers": [(b"host", b"x")]}
    scope |= {"http_version": "1.1", "scheme": "http", "server": None, "client": None, "root_path": ""}
    sent = []
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        sent.append(message)
    await app(scope, receive, send)
    assert sent[0]["status"] == 200

asyncio.run(request())
json.dump([imported, instrumented, told()], sys.stdout)
"""

OURS = {
    "tollmeter",
    "tollmeter.instrumentation",
    "tollmeter.instrumentation.active",
    "tollmeter.instrumentation.attribution",
    "tollmeter.instrumentation.bounds",
    "tollmeter.instrumentation.context",
    "tollmeter.instrumentation.guard",
    "tollmeter.instrumentation.install",
    "tollmeter.instrumentation.lambda_sandbox",
    "tollmeter.instrumentation.middleware",
    "tollmeter.instrumentation.modes",
    "tollmeter.instrumentation.on_demand",
    "tollmeter.instrumentation.outcome",
    "tollmeter.instrumentation.propagation",
    "tollmeter.instrumentation.propagation.baggage",
    "tollmeter.instrumentation.propagation.datadog",
    "tollmeter.instrumentation.propagation.joined",
    "tollmeter.instrumentation.propagation.outgoing",
    "tollmeter.instrumentation.propagation.request_id",
    "tollmeter.instrumentation.propagation.span_context",
    "tollmeter.instrumentation.propagation.styles",
    "tollmeter.instrumentation.propagation.tracecontext",
    "tollmeter.instrumentation.propagation.xray",
    "tollmeter.instrumentation.recorder",
    "tollmeter.instrumentation.tap",
    "tollmeter.instrumentation.tap.import_hook",
    "tollmeter.instrumentation.text",
    "tollmeter.instrumentation.threads",
    "tollmeter.instrumentation.tracing",
    "tollmeter.instrumentation.websocket",
    "tollmeter.instrumentation.writer",
    "tollmeter.model",
    "tollmeter.model.errors",
    "tollmeter.model.events",
    "tollmeter.model.home",
    "tollmeter.model.ids",
    "tollmeter.model.lazy",
    "tollmeter.model.names",
    "tollmeter.model.secrets",
    "tollmeter.model.setting_row",
    "tollmeter.model.settings",
    "tollmeter.model.spool",
    "tollmeter.model.values",
}
"""No pricing, no reader of any provider's wire, no tap, no OpenTelemetry, Lambda, queue, job, content, spend limit."""
OTHERS = {"msgspec", "uuid_utils"}
HEAVY = {"difflib", "multiprocessing", "subprocess", "concurrent.futures.thread"}
STAGES = ("import", "instrument()", "one request")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    home = str(tmp_path_factory.mktemp("home"))
    command = [sys.executable, "-c", PROGRAM, home]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert list(Path(home).rglob("*.jsonl"))
    return dict(zip(STAGES, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_loaded_that_a_request_does_not_need(loaded: dict[str, list[str]], stage: str) -> None:
    ours = {name for name in loaded[stage] if name.partition(".")[0] == "tollmeter"}
    assert ours <= OURS


@pytest.mark.parametrize("stage", STAGES[:2])
def test_no_module_of_others_is_loaded_but_those_we_depend_on(loaded: dict[str, list[str]], stage: str) -> None:
    tops = {name.partition(".")[0] for name in loaded[stage]} - {"tollmeter"}
    assert tops - set(sys.stdlib_module_names) == OTHERS
    assert not HEAVY & set(loaded[stage])


def test_the_package_alone_loads_next_to_nothing() -> None:
    program = "import sys, tollmeter.instrumentation; print(*(name for name in sys.modules if 'tollmeter.' in name))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert set(done.stdout.split()) == {"tollmeter.instrumentation", "tollmeter.model", "tollmeter.model.lazy"}
