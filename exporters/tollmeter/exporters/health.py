"""Whether the forwarder works, told over HTTP: `GET /health` answers 200, or 503 with what is wrong."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar, Final

from tollmeter.exporters.report import Standing
from tollmeter.model.settings import Settings

PATH: Final = "/health"
_STOPPED_S: Final = 60.0
_PATIENCE_S: Final = 2.0


class Health:
    """The verdict, and what it rests on.

    Unhealthy is a loop that has not made a round for a minute, and a durable sink that has been failing, or at one
    call, for longer than `health_max_failing_s`. A lossy sink that is down is told and no reason: what it misses is
    counted, and a new forwarder would not reach it either.
    """

    def __init__(self, settings: Settings) -> None:
        self._max_failing_s = settings.health_max_failing_s
        self._seen: tuple[float, Mapping[str, Standing]] = (time.monotonic(), {})

    def beat(self, sinks: Mapping[str, Standing]) -> None:
        """Note that the loop made a round, and how the sinks stood."""
        self._seen = (time.monotonic(), sinks)

    def problems(self) -> list[str]:
        """What is wrong, in words; nothing while it is healthy."""
        beat, sinks = self._seen
        silent_s = time.monotonic() - beat
        found = [f"no round for {silent_s:.0f} s"] if silent_s > _STOPPED_S else []
        for name, sink in sinks.items():
            failing_s = sink.failing_s + silent_s if sink.failing_s else 0.0
            if sink.durable and failing_s > self._max_failing_s:
                found.append(f"{name} has been failing for {failing_s:.0f} s: {sink.error or 'one call hangs'}")
        return found

    def document(self) -> dict[str, Any]:
        """The answer: `status`, `problems`, seconds since the last round, and every sink."""
        problems = self.problems()
        beat, sinks = self._seen
        return {
            "status": "unhealthy" if problems else "healthy",
            "problems": problems,
            "last_round_s": round(time.monotonic() - beat, 3),
            "sinks": {name: asdict(sink) for name, sink in sinks.items()},
        }


@contextmanager
def served(health: Health, host: str, port: int) -> Iterator[int]:
    """Answer while the block runs, from a daemon thread, one caller at a time; yields the port (0 asks for a free one).

    Raises:
        OSError: the address cannot be bound.
    """
    handler = type("Handler", (_Handler,), {"health": health})
    server = HTTPServer((host, port), handler)
    threading.Thread(target=server.serve_forever, name="tollmeter-health", daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    health: ClassVar[Health]
    timeout = _PATIENCE_S  # one caller at a time: a silent one must not keep the others out

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != PATH:
            self._answer(404, {"error": f"ask for {PATH}"})
            return
        document = self.health.document()
        self._answer(503 if document["problems"] else 200, document)

    def _answer(self, status: int, document: Mapping[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Say nothing: it is asked every few seconds."""
