"""CloudWatch metrics by `PutMetricData`: values with counts, at the minute of the event, each call made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.exporters.aws import client, is_in_doubt
from tollmeter.exporters.derive.cloudwatch import MAX_VALUES, data
from tollmeter.exporters.sinks.base import InDoubtError
from tollmeter.exporters.sinks.cloudwatch_points import CloudWatchSink

if TYPE_CHECKING:
    from tollmeter.exporters.derive.dimensions import DimensionBudget
    from tollmeter.exporters.derive.metrics import Points
    from tollmeter.model.settings import Settings

MAX_DATA: Final = 1000
_MAX_NUMBERS: Final = 12_000
"""Values and labels of one call: CloudWatch takes 1 MB, and the longest JSON number has about 24 characters."""


class CloudWatchMetrics(CloudWatchSink):
    """Puts the metrics of the registry.

    Raises:
        UnknownNameError: there is no such metric preset.
        MissingExtraError: boto3 is not installed.
    """

    name = "cloudwatch_metrics"

    def __init__(self, settings: Settings, budget: DimensionBudget) -> None:
        super().__init__(settings, budget)
        self._client = client("cloudwatch", settings, attempts=1)

    def fits(self, points: Points) -> bool:
        """Whether the points are few enough for one call."""
        spread = sum(-(-len(values) // MAX_VALUES) for values in points.values.values())
        numbers = sum(map(len, points.values.values())) + 8 * len(points)
        return len(points.sums) + spread <= MAX_DATA and numbers <= _MAX_NUMBERS

    def post(self, points: Points) -> None:
        """Put the points; those of a preset are a call of their own, to its namespace."""
        for index, (namespace, part) in enumerate(self.by_namespace(points)):
            self._put(namespace, list(data(part, self.aggregator.sent)), first=index == 0)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _put(self, namespace: str, found: list[dict[str, Any]], *, first: bool) -> None:
        try:
            self._client.put_metric_data(Namespace=namespace, MetricData=found)
        except Exception as error:
            # Where the first namespace has its points, sending all again would count them twice.
            if is_in_doubt(error) or not first:
                raise InDoubtError(f"{type(error).__name__}: {error}") from error
            raise
