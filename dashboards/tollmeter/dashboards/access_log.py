"""Logs of the server as JSON lines: what happened, and one line for each request, who sent it among its fields."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.access.viewer import viewer
from tollmeter.model.errors import AccessError

if TYPE_CHECKING:
    from collections.abc import Collection

    from flask import Flask, Response

log: Final = logging.getLogger(__name__)
_FIELDS: Final = "tollmeter_fields"
_STARTED: Final = "tollmeter_started"
_TRACE: Final = "X-Amzn-Trace-Id"
_MOST_TEXT: Final = 256
_FAILED: Final = 400


class JsonLines(logging.Formatter):
    """A record as one JSON object on one line, whatever stands in its message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        told: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= getattr(record, _FIELDS, {})
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str)


def log_as_json() -> None:
    """Send what is logged from now on to stdout, as JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def log_requests(server: Flask, *, quiet_paths: Collection[str] = ()) -> None:
    """One record for each request; of quiet paths failures alone.

    The query string is left out: it carries users' and tenants' names.
    """

    def begin() -> None:
        from flask import g

        setattr(g, _STARTED, time.perf_counter())

    def end(response: Response) -> Response:
        from flask import request

        if request.path not in quiet_paths or response.status_code >= _FAILED:
            fields = _fields(response)
            log.info("%s %s %d", fields["method"], fields["path"], response.status_code, extra={_FIELDS: fields})
        return response

    # First to begin and last to end, so that refusals are logged as well.
    server.before_request_funcs.setdefault(None, []).insert(0, begin)
    server.after_request_funcs.setdefault(None, []).insert(0, end)


def _fields(response: Response) -> dict[str, Any]:
    from flask import g, request

    started = getattr(g, _STARTED, None)
    return {
        "method": request.method,
        "path": request.path[:_MOST_TEXT],
        "status": response.status_code,
        "duration_ms": None if started is None else round((time.perf_counter() - started) * 1000, 1),
        "response_bytes": response.content_length,
        "viewer": _subject(),
        "remote_address": request.remote_addr,
        "trace": request.headers.get(_TRACE, "")[:_MOST_TEXT] or None,
    }


def _subject() -> str | None:
    try:
        return viewer().subject
    except AccessError:
        return None
