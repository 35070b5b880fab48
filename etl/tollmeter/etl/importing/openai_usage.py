"""OpenAI's usage and cost export: buckets of time, which are sums and no calls.

A bucket says how many requests there were, not when, how long or for whom. Making calls of it would invent them, and a
call per bucket would be a wrong count with a wrong latency. So a bucket becomes a `run` of the component openai-usage:
OpenAI's own account, to hold beside what the lake has of the same days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from tollmeter.etl.importing import mappings
from tollmeter.etl.importing.fields import RecordError, SkippedError, count, document, needed_moment, text, usd
from tollmeter.etl.importing.source import Context, Source
from tollmeter.model.columns import MONEY_SCALE
from tollmeter.model.events import Run, encode
from tollmeter.model.ids import imported_event_id

NAME: Final = "openai-usage"
EXTRA: Final = "openai"
"""Field of a line, and so of the column `extra`, that says what a bucket is the sum of."""
_BUCKET: Final = "bucket"
_COSTS: Final = "organization.costs.result"
_GROUPS: Final = (
    "object", "model", "project_id", "project_name", "user_id", "api_key_id", "batch", "service_tier", "line_item",
    "size", "source", "organization_id", "quantity_unit", "api_source",
)  # fmt: skip
_NO_COUNTS: Final = frozenset({*_GROUPS, "amount", "quantity"})


def _events(record: Mapping[str, Any], context: Context) -> list[bytes]:
    return [_event(bucket, result, context) for bucket, result in _results(record)]


def _results(record: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    if "data" in record and text(record, "object") in ("page", ""):
        for bucket in record["data"]:
            yield from _results(document(bucket))
    elif text(record, "object") == _BUCKET:
        yield from ((record, document(result)) for result in record.get("results") or record.get("result") or ())
    else:
        raise SkippedError(text(record, "object") or "no object")


def _event(bucket: Mapping[str, Any], result: Mapping[str, Any], context: Context) -> bytes:
    start, end = needed_moment(bucket, "start_time"), needed_moment(bucket, "end_time")
    groups = {name: result[name] for name in _GROUPS if result.get(name) is not None}
    key = msgspec.json.encode([start, end, sorted(groups.items())]).decode()
    run = Run(
        event_id=imported_event_id(NAME, key),
        timestamp=start,
        service=context.service,
        component=NAME,
        duration_ms=(end - start).total_seconds() * 1000,
        counts=_counts(result),
    )
    line = msgspec.json.decode(encode(run)) | {EXTRA: groups}
    return msgspec.json.encode(line) + b"\n"


def _counts(result: Mapping[str, Any]) -> dict[str, int]:
    names = [name for name, value in result.items() if name not in _NO_COUNTS and not isinstance(value, dict | list)]
    counts = {name: number for name in names if (number := count(result, name)) is not None}
    if text(result, "object") == _COSTS:
        counts["cost_picousd"] = _picousd(document(result.get("amount")))
    return counts


def _picousd(amount: Mapping[str, Any]) -> int:
    value = usd(amount.get("value"))
    if value is None or text(amount, "currency").lower() != "usd":
        raise RecordError("money", f"amount={dict(amount)!r}")
    return int(value * Decimal(10) ** MONEY_SCALE)


OPENAI_USAGE: Final = Source(
    name=NAME,
    title="OpenAI usage and costs",
    suffixes=(".json", ".jsonl"),
    events=_events,
    mapping=mappings.OPENAI_USAGE,
    notes=mappings.OPENAI_USAGE_NOTES,
    reference="platform.openai.com/docs/api-reference/usage",
)
