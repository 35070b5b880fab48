"""Metrics to a Datadog Agent by DogStatsD: over UDP, which tells of no loss, or a Unix socket, which does."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from operator import add
from typing import TYPE_CHECKING, Any, Final

from tollmeter.exporters.derive.datadog import ended_s, tags
from tollmeter.exporters.derive.metrics import Aggregator, Key, Points, minute_of
from tollmeter.exporters.derive.seconds import Seconds
from tollmeter.exporters.sinks.base import LATE, InDoubtError, Receipt
from tollmeter.exporters.sinks.metered import MetricSink
from tollmeter.model.errors import MissingExtraError
from tollmeter.model.metric_names import datadog_metric, preset
from tollmeter.model.values import STATSD_RULE

if TYPE_CHECKING:
    from tollmeter.exporters.derive.dimensions import DimensionBudget
    from tollmeter.model.events import Event
    from tollmeter.model.settings import Settings

FRESH_S: Final = 60.0
"""What ended no longer ago is sent for the Agent to count where it stands; older points carry their time."""
LATE_VALUES: Final = LATE + "_values"
"""Values of distributions that are too old to be sent, for the protocol has no time for them."""

Put = Callable[..., None]
Join = Callable[[float, float], float]

_NOW: Final = 0
_MAX_POINTS: Final = 5_000
_MAX_VALUES: Final = 40
_TIMEOUT_S: Final = 1.0
_NEVER_S: Final = 10**9
_UNIFIED: Final = ("env:", "service:", "version:")


class DatadogMetrics(MetricSink):
    """Sends counts, gauges and distributions (so that percentiles are right across hosts), under `tollmeter.<name>`.

    Raises:
        UnknownNameError: there is no such metric preset.
        MissingExtraError: datadog is not installed.
    """

    name = "datadog_metrics"
    batch_bytes = 1 << 20  # about as many lines as fit one burst, so that few are aggregated in vain
    oldest_s = 3600.0
    farthest_s = 600.0

    def __init__(self, settings: Settings, budget: DimensionBudget) -> None:
        chosen = preset(settings.metric_preset)
        aliases = chosen.datadog if chosen else ()
        super().__init__(settings, budget, aliases)
        self.aggregator = Aggregator(budget.admit, aliases, when=_when)
        self._names = {name: datadog_metric(name) for name in self.aggregator.sent}
        self._names |= {alias.name: alias.name for alias in aliases}
        self._seconds = Seconds()
        self._late = 0
        self._statsd = _client(settings.statsd_address)

    def fits(self, points: Points) -> bool:
        """Whether the points are few enough for one burst: a socket's buffer is not endless."""
        fresh = sum(values.total() for key, values in points.values.items() if key.minute == _NOW)
        return len(points) + fresh <= _MAX_POINTS

    def send(self, lines: list[bytes]) -> Receipt:
        """Send the points of the lines; what is too old to be sent of them is told as `late_values`."""
        self._late = 0
        receipt = super().send(lines)
        notes = {**receipt.notes, LATE_VALUES: self._late} if self._late else receipt.notes
        return Receipt(receipt.acknowledged, receipt.drops, receipt.in_doubt, 0, receipt.error, notes)

    def post(self, points: Points) -> None:
        """Send points in as many datagrams as they need; nothing is sent twice."""
        statsd, late, tried = self._statsd, Counter[str](), 0
        sent, dropped = statsd.packets_sent, statsd.packets_dropped
        self._seconds.begin()
        statsd.open_buffer()
        try:
            for _ in self._put(points, late):
                tried += 1
                if statsd.packets_dropped > dropped:
                    break
        finally:
            statsd.close_buffer()
        sent, dropped = statsd.packets_sent - sent, statsd.packets_dropped - dropped
        if tried and (dropped or not sent):
            reason = f"the Agent's socket took {sent} datagrams and refused {dropped}"
            if sent:
                raise InDoubtError(reason)
            self._seconds.give_back()
            raise ConnectionError(reason)
        self._late += late.total()

    def close(self) -> None:
        """Let go of the socket."""
        self._statsd.close_socket()

    def probe(self) -> str:
        """Open the socket.

        Raises:
            OSError: there is no such socket, or no such host.
        """
        self._statsd.get_socket()
        place = self._statsd.socket_path or f"{self._statsd.host}:{self._statsd.port}"
        return f"sends metrics to {place}" + (
            "" if self._statsd.socket_path else "; whether an Agent listens, UDP does not tell"
        )

    def _put(self, points: Points, late: Counter[str]) -> Iterator[None]:
        """Put each point into the client's buffer, which sends what fills a datagram; yields after each line."""
        for key, total in points.sums.items():
            yield from self._put_one(key, total, add, self._statsd.count, self._statsd.count_with_timestamp)
        for key, values in points.values.items():
            if self.aggregator.sent[key.name].metric.aggregate == "gauge":
                gauge = self._statsd.gauge, self._statsd.gauge_with_timestamp
                yield from self._put_one(key, max(values), max, *gauge)
            elif key.minute == _NOW:
                yield from self._put_values(key, values.elements())
            else:
                late[key.name] += values.total()

    def _put_one(self, key: Key, value: float, joined: Join, now: Put, then: Put) -> Iterator[None]:
        name, labels = self._names[key.name], tags(key.dimensions)
        if key.minute == _NOW:
            now(name, value, tags=labels)
            yield
        else:
            second, value = self._seconds.take(key, value, joined)
            then(name, value, second, tags=labels)
            yield

    def _put_values(self, key: Key, values: Iterator[float]) -> Iterator[None]:
        """Many values on a line, as the protocol has it from 1.1 on."""
        while part := list(islice(values, _MAX_VALUES)):
            packed = ":".join(map(str, part))
            self._statsd.distribution(self._names[key.name], packed, tags=tags(key.dimensions))
            yield


def _when(event: Event) -> int:
    return _NOW if time.time() - ended_s(event) <= FRESH_S else minute_of(event)


def _client(address: str) -> Any:
    try:
        from datadog.dogstatsd.base import DogStatsd
    except ModuleNotFoundError as error:
        raise MissingExtraError("datadog", "datadog") from error
    statsd = DogStatsd(
        **_where(address),
        # Its counts of datagrams tell what was sent; they are kept, and never sent themselves.
        disable_telemetry=False,
        telemetry_min_flush_interval=_NEVER_S,
        socket_timeout=_TIMEOUT_S,
        track_instance=False,
    )
    # The service is the event's: DD_SERVICE and its like name the container that the forwarder runs in.
    statsd.constant_tags = [tag for tag in statsd.constant_tags if not tag.startswith(_UNIFIED)]
    return statsd


def _where(address: str) -> dict[str, Any]:
    found = re.fullmatch(STATSD_RULE, address)
    if found is None:
        return {}
    if found["path"]:
        return {"socket_path": address}
    return {"host": found["host"].strip("[]"), "port": int(found["port"])}
