"""What both sinks of CloudWatch metrics share: the names of a preset beside our own, each in its namespace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tollmeter.exporters.derive.cloudwatch import namespaces
from tollmeter.exporters.sinks.metered import MetricSink
from tollmeter.model.metric_names import preset

if TYPE_CHECKING:
    from tollmeter.exporters.derive.dimensions import DimensionBudget
    from tollmeter.exporters.derive.metrics import Points
    from tollmeter.model.settings import Settings


class CloudWatchSink(MetricSink):
    """A sink of CloudWatch metrics; a subclass says by which call.

    Raises:
        UnknownNameError: there is no such metric preset.
    """

    def __init__(self, settings: Settings, budget: DimensionBudget) -> None:
        chosen = preset(settings.metric_preset)
        aliases = chosen.cloudwatch if chosen else ()
        super().__init__(settings, budget, aliases)
        self._aliases = tuple(alias.name for alias in aliases)
        self._namespaces = (settings.cloudwatch_namespace, chosen.namespace if chosen else "")

    def by_namespace(self, points: Points) -> Iterator[tuple[str, Points]]:
        """The points of each namespace that has any."""
        return namespaces(points, self._aliases, *self._namespaces)
