"""CloudWatch Logs: each event as one structured log event, in the group of its service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tollmeter.exporters.log_stream import MAX_EVENT, LogEvent, LogStreams, batches
from tollmeter.exporters.reader import OWN_SERVICE
from tollmeter.exporters.sinks.base import EARLY, INVALID, LATE, NOTHING, TOO_LARGE, Receipt
from tollmeter.exporters.sinks.stdout import log_record
from tollmeter.model.log_groups import log_group

if TYPE_CHECKING:
    from tollmeter.model.settings import Settings

_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, OverflowError)


class _Told(NamedTuple):
    """A line's log event and its group; for a line that is dropped the reason, and no event."""

    group: str
    event: LogEvent | None


class CloudWatchLogs:
    """Puts every event as JSON; one that does not arrive for sure is put again, so a query may see it twice.

    Raises:
        MissingExtraError: boto3 is not installed.
    """

    name = "cloudwatch_logs"
    durable = False
    interval_s = 1.0
    batch_bytes = 1 << 20

    def __init__(self, settings: Settings) -> None:
        self._group = settings.cloudwatch_log_group
        self._datadog_ids = settings.datadog_log_ids
        self._streams = LogStreams(settings)

    def send(self, lines: list[bytes]) -> Receipt:
        """Put the lines in as many calls as their groups, sizes and times need; stops at the first that fails.

        Raises:
            Exception: the first call failed.
        """
        drops: Counter[str] = Counter()
        acknowledged = taken = 0
        for group, events, count in _runs(self._told(line) for line in lines):
            if not events:
                drops[group] += count
                taken += count
                continue
            try:
                rejected = self._streams.put(group, events)
            except Exception as error:
                if not taken:
                    raise
                return Receipt(acknowledged, drops, error=f"{type(error).__name__}: {error}")
            drops += Counter({LATE: rejected.late, EARLY: rejected.early})
            acknowledged += count - rejected.late - rejected.early
            taken += count
        return Receipt(acknowledged, drops)

    def flush(self, *, final: bool) -> Receipt:
        """Nothing is held."""
        del final
        return NOTHING

    def close(self) -> None:
        """Let go of the connections."""
        self._streams.close()

    def probe(self) -> str:
        """Make the group and stream of the forwarder's own events, which it would make within a minute.

        Raises:
            botocore.exceptions.ClientError: making them is not allowed.
            botocore.exceptions.BotoCoreError: CloudWatch cannot be reached, or there are no credentials.
        """
        group = log_group(self._group, OWN_SERVICE)
        self._streams.make(group)
        return f"puts events into groups such as {group}, which is there; putting was not tried"

    def _told(self, line: bytes) -> _Told:
        record = log_record(line, datadog_ids=self._datadog_ids)
        if record is None:
            return _Told(INVALID, None)
        try:
            moment = datetime.fromisoformat(str(record["timestamp"]))
            event = LogEvent(int(moment.timestamp() * 1000), msgspec.json.encode(record))
        except _UNREADABLE:
            return _Told(INVALID, None)
        if len(event.text) > MAX_EVENT:
            return _Told(TOO_LARGE, None)
        return _Told(log_group(self._group, str(record.get("service"))), event)


def _runs(told: Iterable[_Told]) -> Iterator[tuple[str, Sequence[LogEvent], int]]:
    """In the order of the lines: group and events of one call, or the reason and number of lines that are dropped."""
    for (is_event, group), run in groupby(told, key=lambda each: (each.event is not None, each.group)):
        found = list(run)
        if not is_event:
            yield group, (), len(found)
        for batch in batches([each.event for each in found if each.event]):
            yield group, batch, len(batch)
