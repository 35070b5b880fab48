"""What the boards hold, once for all platforms: which questions, of which metrics, split by which dimensions.

Names, units and dimensions are the registry's; a chart of a metric or a dimension that it lacks cannot be made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from tollmeter.model.errors import UnknownNameError
from tollmeter.model.metric_names import Alias
from tollmeter.model.metrics import Metric, metric

Statistic = Literal["sum", "max", "p50", "p95", "p99"]
View = Literal["line", "area", "number"]

_OF_AGGREGATE: Final[dict[str, frozenset[str]]] = {
    "counter": frozenset({"sum"}),
    "gauge": frozenset({"max"}),
    "distribution": frozenset({"p50", "p95", "p99"}),
}


@dataclass(frozen=True, slots=True)
class Series:
    """A statistic of a metric; `alias` is what a preset calls it, with the dimensions that it has there.

    Raises:
        UnknownNameError: there is no such metric, or it has no such statistic.
    """

    name: str
    statistic: Statistic
    label: str = ""
    alias: Alias | None = None

    def __post_init__(self) -> None:
        allowed = _OF_AGGREGATE[self.metric.aggregate]
        if self.statistic not in allowed:
            raise UnknownNameError(f"statistic of {self.name}", self.statistic, sorted(allowed))

    @property
    def metric(self) -> Metric:
        """The metric of the registry."""
        return metric(self.name)

    @property
    def dimensions(self) -> tuple[tuple[str, str], ...]:
        """Its dimensions: (name outside, field of the event)."""
        return self.alias.dimensions if self.alias else tuple((each, each) for each in self.metric.dimensions)


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over time, or one number of them.

    With `per` it is the first series' share of the second, times `per`. `by` are fields of the event that split it.
    `one_model` is a chart of the model that is chosen on the board.

    Raises:
        UnknownNameError: a series has no dimension of that name.
    """

    title: str
    series: tuple[Series, ...]
    view: View = "line"
    by: tuple[str, ...] = ()
    per: int = 0
    unit: str = ""
    one_model: bool = False

    def __post_init__(self) -> None:
        for each in self.series:
            known = [field for _, field in each.dimensions]
            for field in (*self.by, *(("request_model",) if self.one_model else ())):
                if field not in known:
                    raise UnknownNameError(f"dimension of {each.name}", field, known)

    @property
    def shown_unit(self) -> str:
        """The unit on the axis: USD, %, Count, Milliseconds or Bytes, or as told."""
        first = self.series[0].metric
        return self.unit or ("USD" if first.name.endswith("_usd") else first.unit)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the logs: a saved query of Logs Insights, and the same question as one aggregate by one field."""

    title: str
    insights: str
    by: str
    aggregate: Literal["sum", "max", "count"]
    measure: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Widgets under a heading; `note` says what their numbers mean."""

    title: str
    note: str
    widgets: tuple[Chart | Table, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One board."""

    name: str
    title: str
    about: str
    sections: tuple[Section, ...]

    @property
    def charts(self) -> list[Chart]:
        """Its charts, without tables."""
        return [each for section in self.sections for each in section.widgets if isinstance(each, Chart)]


def _sums(*names: str) -> tuple[Series, ...]:
    return tuple(Series(name, "sum") for name in names)


def _p(name: str, *statistics: Statistic) -> tuple[Series, ...]:
    return tuple(Series(name, each) for each in statistics)


def _count(title: str, name: str, by: str) -> Chart:
    return Chart(title, _sums(name), "area", (by,))


_FROM_LOGS: Final = "Asked of the log lines of model calls and requests, for no metric carries these fields."
_MODEL: Final = "request_model"

COST: Final = Board(
    "cost",
    "Tollmeter: cost",
    "What model calls cost, at the prices of the time of each call. Calls whose price is unknown are not in any sum; "
    "they are counted below.",
    (
        Section(
            "In the time shown",
            "Cost is of priced calls; that of 1,000 calls is spread over all of them. Tokens are input and output.",
            (
                Chart("Cost", _sums("llm.cost_usd"), "number"),
                Chart("Model calls", _sums("llm.calls"), "number"),
                Chart("Tokens", _sums("llm.tokens"), "number"),
                Chart("Cost of 1,000 calls", _sums("llm.cost_usd", "llm.calls"), "number", per=1000, unit="USD"),
                Chart("Cost of a million tokens", _sums("llm.cost_usd", "llm.tokens"), "number", per=10**6, unit="USD"),
                Chart("Calls without a price", _sums("llm.unpriced_calls", "llm.calls"), "number", per=100, unit="%"),
            ),
        ),
        Section(
            "Who spends it",
            "A point is the sum of its period. Models, teams and routes beyond the dimension budget are `other`.",
            (
                Chart("Cost by model", _sums("llm.cost_usd"), "area", (_MODEL,)),
                Chart("Cost by team", _sums("llm.cost_usd"), "area", ("team",)),
                _count("Calls by model", "llm.calls", _MODEL),
                _count("Calls without a price, by model", "llm.unpriced_calls", _MODEL),
            ),
        ),
        Section(
            "Tokens",
            "Input includes what was read from cache, at a part of the price; output includes reasoning.",
            (
                Chart("Input and output tokens", _sums("llm.input_tokens", "llm.output_tokens")),
                Chart("Input read from cache", _sums("llm.cache_read_tokens", "llm.input_tokens"), per=100, unit="%"),
                _count("Tokens by model", "llm.tokens", _MODEL),
                _count("Tokens read from cache, by model", "llm.cache_read_tokens", _MODEL),
            ),
        ),
        Section(
            "Cost by tenant", _FROM_LOGS, (Table("Cost by tenant", "cost_by_tenant", "tenant_id", "sum", "cost_usd"),)
        ),
    ),
)

LATENCY: Final = Board(
    "latency",
    "Tollmeter: latency",
    "How long model calls and requests take. Percentiles are of every call, not of averages.",
    (
        Section(
            "Model calls",
            "To the end of the answer, and to the first token of a stream; 95 of 100 calls were faster than p95.",
            (
                Chart("p95 to the end of the answer, by model", _p("llm.latency_ms", "p95"), by=(_MODEL,)),
                Chart("p95 to the first token, by model", _p("llm.ttft_ms", "p95"), by=(_MODEL,)),
                Chart("p99 to the end of the answer, by model", _p("llm.latency_ms", "p99"), by=(_MODEL,)),
                _count("Calls by model", "llm.calls", _MODEL),
            ),
        ),
        Section(
            "The chosen model",
            "Median, p95 and p99 of the model chosen at the top.",
            (
                Chart("To the end of the answer", _p("llm.latency_ms", "p50", "p95", "p99"), one_model=True),
                Chart("To the first token", _p("llm.ttft_ms", "p50", "p95", "p99"), one_model=True),
            ),
        ),
        Section(
            "Requests",
            "To the last byte that a client of the service got, model calls included.",
            (
                Chart("Median by route", _p("http.duration_ms", "p50"), by=("route",)),
                Chart("p95 by route", _p("http.duration_ms", "p95"), by=("route",)),
                Chart("p99 by route", _p("http.duration_ms", "p99"), by=("route",)),
                _count("Requests by route", "http.requests", "route"),
            ),
        ),
        Section(
            "Slowest calls", _FROM_LOGS, (Table("Slowest calls", "slowest_calls", "request_id", "max", "latency_ms"),)
        ),
    ),
)

RELIABILITY: Final = Board(
    "reliability",
    "Tollmeter: reliability",
    "What fails, is throttled, abandoned or replaced, and whether telemetry itself arrives. A share has no line until "
    "something has failed once.",
    (
        Section(
            "In the time shown",
            "Shares of all model calls, each attempt one, and of all requests.",
            (
                Chart("Failed calls", _sums("llm.errors", "llm.calls"), "number", per=100, unit="%"),
                Chart("Throttled calls (429)", _sums("llm.throttles", "llm.calls"), "number", per=100, unit="%"),
                Chart("Abandoned streams", _sums("llm.partial", "llm.calls"), "number", per=100, unit="%"),
                Chart("Fallbacks", _sums("llm.fallbacks", "llm.calls"), "number", per=100, unit="%"),
                Chart("Requests with 5xx", _sums("http.errors", "http.requests"), "number", per=100, unit="%"),
                Chart("Failed requests", _sums("http.failures", "http.requests"), "number", per=100, unit="%"),
            ),
        ),
        Section(
            "Model calls",
            "Each attempt is a call: one that was retried and then worked has an error and a success.",
            (
                Chart("Failed calls, share", _sums("llm.errors", "llm.calls"), per=100, unit="%"),
                Chart("Throttled calls, share", _sums("llm.throttles", "llm.calls"), per=100, unit="%"),
                _count("Failed calls by model", "llm.errors", _MODEL),
                _count("Throttled calls by model", "llm.throttles", _MODEL),
                _count("Abandoned streams by model", "llm.partial", _MODEL),
                _count("Calls standing in for another model, by model", "llm.fallbacks", _MODEL),
            ),
        ),
        Section(
            "Requests",
            "Failures count requests of any kind: 5xx, jobs and messages whose code raised, time-outs of Lambda.",
            (
                Chart("Requests with 5xx, share", _sums("http.errors", "http.requests"), per=100, unit="%"),
                _count("Requests with 5xx, by route", "http.errors", "route"),
                _count("Failures by route", "http.failures", "route"),
                _count("Clients that left early, by route", "http.client_disconnects", "route"),
            ),
        ),
        Section(
            "Telemetry",
            "Reports of the forwarder and the ETL, of all services: how far each sink is behind, and what it lost.",
            (
                Chart("Age of the oldest event not yet sent, by sink", _p("tollmeter.lag_ms", "max"), by=("sink",)),
                Chart("Bytes yet to be sent, by sink", _p("tollmeter.waiting_bytes", "max"), by=("sink",)),
                _count("Events dropped, by sink", "tollmeter.dropped", "sink"),
                _count("Failed runs by component", "tollmeter.failed_runs", "component"),
            ),
        ),
        Section("Errors", _FROM_LOGS, (Table("Errors by type", "errors_by_type", "error_type", "count"),)),
    ),
)

BOARDS: Final = {board.name: board for board in (COST, LATENCY, RELIABILITY)}


def board(name: str) -> Board:
    """The board of that name.

    Raises:
        UnknownNameError: there is none; the message lists near matches.
    """
    if name not in BOARDS:
        raise UnknownNameError("board", name, BOARDS)
    return BOARDS[name]


def with_aliases(of: Board, aliases: tuple[Alias, ...]) -> Board:
    """The board, and below it what of its metrics a preset sends under further names."""
    shown: dict[str, Statistic] = {series.name: series.statistic for chart in of.charts for series in chart.series}
    charts = tuple(_aliased(alias, shown[alias.metric]) for alias in aliases if alias.metric in shown)
    if not charts:
        return of
    note = (
        "The same numbers under the names that the setting `metric_preset` adds, with the dimensions they have there."
    )
    return replace(of, sections=(*of.sections, Section("Further names", note, charts)))


def _aliased(alias: Alias, statistic: Statistic) -> Chart:
    fields = tuple(field for _, field in alias.dimensions if field not in {"service", "environment"})
    return Chart(alias.name, (Series(alias.metric, statistic, alias=alias),), by=fields)
