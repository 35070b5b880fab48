"""One log stream of CloudWatch Logs: batches by its rules, made where it is missing.

Limits: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tollmeter.exporters.aws import client, error_code

if TYPE_CHECKING:
    from tollmeter.model.settings import Settings

MAX_EVENTS: Final = 10_000
MAX_BYTES: Final = 1 << 20
MAX_EVENT: Final = MAX_BYTES - 26
_PER_EVENT: Final = 26
_SPAN_MS: Final = 24 * 3600 * 1000 - 1
_MISSING: Final = "ResourceNotFoundException"
_EXISTS: Final = "ResourceAlreadyExistsException"
_RETENTIONS: Final = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)


class LogEvent(NamedTuple):
    """One log event: time in ms since the epoch, and text of at most `MAX_EVENT` bytes of UTF-8."""

    time_ms: int
    text: bytes


class Rejected(NamedTuple):
    """How many events of a call CloudWatch did not take, although it answered 200."""

    late: int = 0
    early: int = 0


class LogStreams:
    """Puts log events; groups and the stream of this host in them are made when they are missing.

    Args:
        settings: region, and the retention of groups that are made.
        attempts: 1 where an event must not be put twice.
    """

    def __init__(self, settings: Settings, *, attempts: int = 2) -> None:
        self._client = client("logs", settings, attempts=attempts)
        days = settings.cloudwatch_retention_days
        self._retention = next((allowed for allowed in _RETENTIONS if allowed >= days), 0) if days else 0
        self._stream = socket.gethostname() or "forwarder"

    def put(self, group: str, events: Sequence[LogEvent]) -> Rejected:
        """Put one batch, as `batches` cuts them; says what was rejected.

        Raises:
            botocore.exceptions.ClientError: CloudWatch refuses.
            botocore.exceptions.BotoCoreError: it cannot be reached, or there are no credentials.
        """
        ordered = sorted(events, key=lambda event: event.time_ms)
        where = {"logGroupName": group, "logStreamName": self._stream}
        told = [{"timestamp": event.time_ms, "message": event.text.decode()} for event in ordered]
        try:
            answer = self._client.put_log_events(**where, logEvents=told)
        except Exception as error:
            if error_code(error) != _MISSING:
                raise
            self.make(group)
            answer = self._client.put_log_events(**where, logEvents=told)
        return _rejected(answer.get("rejectedLogEventsInfo") or {}, len(ordered))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def make(self, group: str) -> None:
        """Make the group and the stream of this host in it, as far as they are missing.

        Raises:
            botocore.exceptions.ClientError: it is not allowed.
            botocore.exceptions.BotoCoreError: CloudWatch cannot be reached, or there are no credentials.
        """
        if self._try(self._client.create_log_group, logGroupName=group) and self._retention:
            self._client.put_retention_policy(logGroupName=group, retentionInDays=self._retention)
        self._try(self._client.create_log_stream, logGroupName=group, logStreamName=self._stream)

    @staticmethod
    def _try(make: Any, **where: str) -> bool:
        try:
            make(**where)
        except Exception as error:
            if error_code(error) != _EXISTS:
                raise
            return False
        return True


def batches(events: Sequence[LogEvent]) -> Iterator[Sequence[LogEvent]]:
    """Runs of events, in their order, that one call takes: 10,000, 1 MiB with 26 bytes for each, 24 hours."""
    start = size = 0
    low = high = events[0].time_ms if events else 0
    for index, event in enumerate(events):
        cost = len(event.text) + _PER_EVENT
        low, high = min(low, event.time_ms), max(high, event.time_ms)
        if index > start and (index - start >= MAX_EVENTS or size + cost > MAX_BYTES or high - low > _SPAN_MS):
            yield events[start:index]
            start, size, low, high = index, 0, event.time_ms, event.time_ms
        size += cost
    if start < len(events):
        yield events[start:]


def _rejected(told: dict[str, int], count: int) -> Rejected:
    # Indices into the call's events, which are in order of time; the ends are exclusive.
    late = max(told.get("tooOldLogEventEndIndex", 0), told.get("expiredLogEventEndIndex", 0))
    return Rejected(late=late, early=count - told.get("tooNewLogEventStartIndex", count))
