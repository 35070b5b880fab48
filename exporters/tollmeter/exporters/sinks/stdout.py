"""Structured JSON logs on standard output, one line per event: what a log agent or the platform collects."""

from __future__ import annotations

import os
import select
import time
from bisect import bisect_right
from itertools import accumulate
from typing import Any, Final

import msgspec

from tollmeter.exporters.derive.datadog import log_ids
from tollmeter.exporters.sinks.base import BATCH_BYTES, INVALID, NOTHING, Receipt
from tollmeter.model.names import (
    CONTENT_FIELDS,
    KIND_EVALUATION,
    KIND_LLM_CALL,
    KIND_REQUEST,
    KIND_RUN,
    MESSAGE_EVALUATION,
    MESSAGE_LLM_CALL,
    MESSAGE_REQUEST,
    MESSAGE_RUN,
    STATUS_ERROR,
)

_MESSAGES: Final = {
    KIND_REQUEST: MESSAGE_REQUEST,
    KIND_LLM_CALL: MESSAGE_LLM_CALL,
    KIND_EVALUATION: MESSAGE_EVALUATION,
    KIND_RUN: MESSAGE_RUN,
}
_ALWAYS: Final[dict[str, dict[str, Any]]] = {
    KIND_REQUEST: {"request_id": "", "user_id": "", "duration_ms": 0.0},
    KIND_RUN: {"duration_ms": 0.0},
}
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_FIRST_SERVER_ERROR: Final = 500
_PATIENCE_S: Final = 2.0


class StdoutLogs:
    """Writes each event with `timestamp`, `level`, `message`, and its own fields.

    A reader that stops reading costs at most two seconds per batch: it must not hold other sinks back.
    """

    name = "stdout"
    durable = False
    interval_s = 0.0
    batch_bytes = BATCH_BYTES

    def __init__(self, fd: int = 1, *, datadog_ids: bool = False) -> None:
        self._fd = fd
        self._datadog_ids = datadog_ids
        self._amid_line = False

    def send(self, lines: list[bytes]) -> Receipt:
        """Write one log line per event; what is not a JSON object is dropped.

        Where the reader stops, the receipt covers the lines written whole; the one cut off is written again in full.
        """
        logs = [_log_line(line, datadog_ids=self._datadog_ids) for line in lines]
        first = b"\n" if self._amid_line else b""
        written, error = self._write(first + b"".join(logs))
        ends = list(accumulate((len(log) for log in logs), initial=len(first)))
        whole = bisect_right(ends, written) - 1 if written >= len(first) else 0
        self._amid_line = written != ends[whole] if written else self._amid_line
        dropped = logs[:whole].count(b"")
        return Receipt(acknowledged=whole - dropped, drops={INVALID: dropped}, error=error)

    def flush(self, *, final: bool) -> Receipt:
        """Nothing is held."""
        del final
        return NOTHING

    def close(self) -> None:
        """Nothing to let go of: standard output is not ours."""

    def _write(self, data: bytes) -> tuple[int, str]:
        view, written, deadline = memoryview(data), 0, time.monotonic() + _PATIENCE_S
        try:
            while written < len(data):
                written += self._write_some(view[written:], deadline)
        except OSError as error:
            return written, f"{type(error).__name__}: {error}"
        return written, ""

    def _write_some(self, rest: memoryview, deadline: float) -> int:
        # A pipe that select calls writable takes PIPE_BUF bytes without blocking.
        _, ready, _ = select.select([], [self._fd], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"standard output took nothing for {_PATIENCE_S:g} s")
        return os.write(self._fd, rest[: select.PIPE_BUF])


def log_record(line: bytes, *, datadog_ids: bool = False) -> dict[str, Any] | None:
    """The log line of one event, as a mapping; None when the line is not a JSON object.

    The text of prompts and answers is left out: it is for the lake alone.
    With `datadog_ids` it carries what joins it to its trace in Datadog: `dd.trace_id` and its like.

    >>> log_record(b'{"kind":"request","timestamp":"2026-01-02T03:04:05Z","duration_ms":12.5}')["message"]
    'Request completed'
    """
    try:
        event = msgspec.json.decode(line, type=dict[str, Any])
    except _UNREADABLE:
        return None
    for name in CONTENT_FIELDS:
        event.pop(name, None)
    kind = str(event.get("kind", ""))
    first = {
        "timestamp": event.get("timestamp"),
        "level": "ERROR" if _failed(event) else "INFO",
        "message": _MESSAGES.get(kind, kind),
    }
    return first | _ALWAYS.get(kind, {}) | event | (log_ids(event) if datadog_ids else {})


def _log_line(line: bytes, *, datadog_ids: bool) -> bytes:
    record = log_record(line, datadog_ids=datadog_ids)
    try:
        return b"" if record is None else msgspec.json.encode(record) + b"\n"
    except _UNREADABLE:  # a lone surrogate can be read and not be written
        return b""


def _failed(event: dict[str, Any]) -> bool:
    status = event.get("status_code")
    return (
        bool(event.get("error_type"))
        or STATUS_ERROR in (event.get("status"), event.get("outcome"))
        or (isinstance(status, int) and status >= _FIRST_SERVER_ERROR)
    )
