"""CloudWatch metrics as log events in the embedded metric format: cheaper than calls where metrics are many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tollmeter.exporters.aws import is_in_doubt
from tollmeter.exporters.derive.cloudwatch import embedded
from tollmeter.exporters.log_stream import MAX_BYTES, LogEvent, LogStreams, batches
from tollmeter.exporters.sinks.base import InDoubtError
from tollmeter.exporters.sinks.cloudwatch_points import CloudWatchSink

if TYPE_CHECKING:
    from tollmeter.exporters.derive.dimensions import DimensionBudget
    from tollmeter.exporters.derive.metrics import Points
    from tollmeter.model.settings import Settings

_PER_VALUE: Final = 40
_PER_POINT: Final = 400


class CloudWatchEmf(CloudWatchSink):
    """Puts documents of the embedded metric format into the group `<log group>/metrics`.

    Raises:
        UnknownNameError: there is no such metric preset.
        MissingExtraError: boto3 is not installed.
    """

    name = "cloudwatch_emf"

    def __init__(self, settings: Settings, budget: DimensionBudget) -> None:
        super().__init__(settings, budget)
        self._group = settings.cloudwatch_log_group.replace("{service}", "metrics")
        self._streams = LogStreams(settings, attempts=1)

    def fits(self, points: Points) -> bool:
        """Whether the documents are sure to fit one call."""
        values = sum(values.total() for values in points.values.values())
        return values * _PER_VALUE + len(points) * _PER_POINT <= MAX_BYTES

    def post(self, points: Points) -> None:
        """Put the documents in one call, or more where they span a day."""
        documents = [
            LogEvent(document["_aws"]["Timestamp"], msgspec.json.encode(document))
            for namespace, part in self.by_namespace(points)
            for document in embedded(part, self.aggregator.sent, namespace)
        ]
        documents.sort(key=lambda document: document.time_ms)
        for index, batch in enumerate(batches(documents)):
            try:
                self._streams.put(self._group, batch)
            except Exception as error:
                if index or is_in_doubt(error):
                    raise InDoubtError(f"{type(error).__name__}: {error}") from error
                raise

    def close(self) -> None:
        """Let go of the connections."""
        self._streams.close()
