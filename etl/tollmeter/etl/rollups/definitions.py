"""The rollups: what each is made of, its query, and what must add up."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tollmeter.etl.rollups import queries
from tollmeter.etl.rollups.metrics_sql import minute_query, minute_totals
from tollmeter.etl.rollups.queries import MACROS
from tollmeter.etl.rollups.totals import Total
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.names import (
    TABLE_LLM_CALLS,
    TABLE_REQUESTS,
    TABLE_ROLLUP_CALLS,
    TABLE_ROLLUP_CALLS_DAILY,
    TABLE_ROLLUP_LATENCY,
    TABLE_ROLLUP_LATENCY_DAILY,
    TABLE_ROLLUP_METRICS,
    TABLE_ROLLUP_REQUESTS,
    TABLE_ROLLUP_SESSIONS,
    TABLE_ROLLUP_SPEND,
    TABLE_RUNS,
)


@dataclass(frozen=True, slots=True)
class Rollup:
    """One table: its query in DuckDB's SQL over views of its sources, and what must add up.

    `period` is the column of its time where that is an hour or less: then hours can be derived apart from their day.
    """

    table: str
    sources: tuple[str, ...]
    query: str
    totals: tuple[Total, ...]
    period: str = ""

    @property
    def definition(self) -> str:
        """Changes when the query, a macro or a column does: what was derived by another is derived again."""
        text = "\n".join((MACROS, self.query, arrow_schema(self.table).to_string()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def rollups(zone: str) -> tuple[Rollup, ...]:
    """All rollups; the days of the daily ones are those of a time zone, an IANA name."""
    calls, both = (TABLE_LLM_CALLS,), (TABLE_REQUESTS, TABLE_LLM_CALLS)
    return (
        Rollup(
            TABLE_ROLLUP_METRICS,
            (*both, TABLE_RUNS),
            minute_query(),
            minute_totals(),
            "minute",
        ),
        Rollup(
            TABLE_ROLLUP_CALLS,
            calls,
            queries.CALLS_HOURLY,
            queries.totals_of_calls(queries.CALL_SUMS),
            "hour",
        ),
        Rollup(
            TABLE_ROLLUP_REQUESTS,
            (TABLE_REQUESTS,),
            queries.REQUESTS_HOURLY,
            queries.TOTALS_OF_REQUESTS,
            "hour",
        ),
        Rollup(
            TABLE_ROLLUP_LATENCY,
            both,
            queries.LATENCY_HOURLY,
            queries.TOTALS_OF_LATENCY,
            "hour",
        ),
        Rollup(
            TABLE_ROLLUP_CALLS_DAILY,
            both,
            queries.calls_daily(zone),
            queries.TOTALS_OF_DAYS,
        ),
        Rollup(
            TABLE_ROLLUP_LATENCY_DAILY,
            both,
            queries.latency_daily(zone),
            queries.TOTALS_OF_LATENCY,
        ),
        Rollup(
            TABLE_ROLLUP_SPEND,
            both,
            queries.daily(queries.SPEND_KEYS, queries.CALL_SUMS, zone),
            (*queries.totals_of_calls(queries.CALL_SUMS), queries.SERVED),
        ),
        Rollup(
            TABLE_ROLLUP_SESSIONS,
            both,
            queries.daily(queries.SESSION_KEYS, queries.SESSION_SUMS, zone),
            (*queries.totals_of_calls(queries.SESSION_SUMS), queries.SERVED),
        ),
    )
