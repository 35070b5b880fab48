"""One replay from start to end: upstream and service up, all rows sent, service down, its events forwarded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tollmeter.cli.sample import server
from tollmeter.cli.sample.driver import SIMULATED, Outcome, drive
from tollmeter.cli.sample.traces import TraceRow
from tollmeter.cli.sample.wire import SIMULATED_TAG
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.report import Report
from tollmeter.model.errors import LockedError, MissingExtraError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

TRACE_TAG: Final = "tollmeter.trace"
"""Tag that names the trace an event replays."""

CONCURRENCY: Final = 16
_EXTRA: Final = "demo"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was sent, the mode asked for, and the forwarder's report: None where another forwarder has the spool."""

    outcome: Outcome
    mode: str
    simulated: str
    forwarded: Report | None


def replay(
    home: Home,
    rows: Sequence[TraceRow],
    source: str,
    *,
    simulated: str = SIMULATED,
    mode: str = "auto",
    concurrency: int = CONCURRENCY,
    real_time: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Send rows through a fresh instrumented service and forward what it wrote.

    `source` names the trace and `simulated` what of the calls is made up; both stand in every event's tags.

    Raises:
        MissingExtraError: a package of the extra `demo` is not installed.
        TollmeterError: the service did not come up, or did not stop.
    """
    _require_extra()
    tags = {SIMULATED_TAG: simulated, TRACE_TAG: source}
    with server.running(server.UPSTREAM) as upstream:
        env = {
            "SAMPLE_UPSTREAM_URL": f"{upstream.url}/v1",
            "SAMPLE_HOME": str(home.path),
            "SAMPLE_MODE": mode,
            "SAMPLE_TAGS": json.dumps(tags),
        }
        with server.running(server.SERVICE, env) as service:
            outcome = drive(service.url, rows, concurrency=concurrency, real_time=real_time, progress=progress)
    return Replayed(outcome, mode, simulated, _forward(home))


def source_name(path: Path) -> str:
    """How a trace file is named in tags.

    >>> source_name(Path("traces/AzureLLMInferenceTrace_conv.csv"))
    'AzureLLMInferenceTrace_conv'
    """
    return path.name.split(".", 1)[0]


def _forward(home: Home) -> Report | None:
    try:
        report = Forwarder(home, Settings.load()).run_once()
    except LockedError:
        return None
    report.check()
    return report


def _require_extra() -> None:
    # The service runs in a process of its own, whose traceback would not name the extra.
    try:
        import fastapi
        import httpx
        import openai
        import pydantic_settings
        import uvicorn
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), _EXTRA) from error
    del fastapi, httpx, openai, pydantic_settings, uvicorn
