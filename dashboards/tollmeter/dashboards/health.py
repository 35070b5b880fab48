"""Whether the dashboard can do its work: `/healthz` by what the lake answered lately, `/livez` by answering at all."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tollmeter.sql.engine import REMOTE_ENGINES

if TYPE_CHECKING:
    from flask import Flask, Response

    from tollmeter.dashboards.lake import Lake

log: Final = logging.getLogger(__name__)
READY: Final = "/healthz"
ALIVE: Final = "/livez"
PATHS: Final = frozenset((READY, ALIVE))
FRESH_S: Final = 30.0
"""How long an answer of the lake proves that it can be asked."""
FRESH_REMOTE_S: Final = 3600.0
"""As `FRESH_S` on Redshift, where a question of ours would keep a serverless workgroup awake, and paid for."""
_PATIENCE_S: Final = 3.0
_UNAVAILABLE: Final = 503


class Health:
    """Asks the lake a cheap question when it has answered nobody for a while; one question at a time.

    The question is asked on a thread of its own: a lake that hangs makes the dashboard unhealthy, not its check late.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        fresh_s: float | None = None,
        patience_s: float = _PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake, self._patience_s, self._clock = lake, patience_s, clock
        self._fresh_s = fresh_s or (FRESH_REMOTE_S if lake.engine in REMOTE_ENGINES else FRESH_S)
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._failure = ""

    def fault(self) -> str:
        """Why the dashboard cannot do its work, in words that tell nothing of the lake; empty if it can."""
        if self._is_fresh():
            return ""
        self._ask().join(self._patience_s)
        if self._is_fresh():
            return ""
        if self._failure:
            return self._failure
        return "the lake has not answered yet" if self._lake.answered_at is None else "the lake does not answer"

    def _is_fresh(self) -> bool:
        """Whether what was asked last was answered, and lately."""
        answered = self._lake.answered_at
        return self._lake.failed_at is None and answered is not None and self._clock() - answered < self._fresh_s

    def _ask(self) -> threading.Thread:
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._look, name="tollmeter-health", daemon=True)
                self._asking.start()
            return self._asking

    def _look(self) -> None:
        try:
            self._lake.ping()
            self._failure = ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the lake cannot be asked
            log.warning("the lake cannot be asked: %s", error)
            self._failure = f"the lake cannot be asked: {type(error).__name__}; the log says more"


def add_health(server: Flask, health: Health) -> None:
    """Serve both paths, before whatever else answers any path."""

    def ready() -> Response:
        fault = health.fault()
        return _plain(fault or "ok", _UNAVAILABLE if fault else 200)

    def alive() -> Response:
        return _plain("ok", 200)

    server.add_url_rule(READY, "tollmeter-ready", ready)
    server.add_url_rule(ALIVE, "tollmeter-alive", alive)


def _plain(text: str, status: int) -> Response:
    from flask import Response

    return Response(f"{text}\n", status, mimetype="text/plain")
