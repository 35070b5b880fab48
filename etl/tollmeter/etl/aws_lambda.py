"""The ETL as a Lambda function: on a schedule, for messages of a queue that S3 tells of new objects, or when invoked.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html (partial batch responses)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tollmeter.etl.discover import Span
from tollmeter.etl.plan import Shard
from tollmeter.etl.report import RunReport
from tollmeter.etl.runner import Scope, pending_objects, run
from tollmeter.etl.sources.messages import MessagesSource
from tollmeter.model.emf import EventLines
from tollmeter.model.errors import SettingError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.sql.parameters import Parameter

_HOME: Final = "/tmp/tollmeter"  # noqa: S108 - the one folder of a function that can be written to, and its own
_RESERVE_MS: Final = 120_000
_KEYS: Final = ("since", "until", "shard", "dry_run")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Ingest what the event is about, and say what was done, as JSON.

    Messages of SQS are about the objects they name; the answer's `batchItemFailures` are those that must come again. A
    schedule, or an invocation with any of `since`, `until`, `shard` and `dry_run`, is about `raw_url`. No batch is
    begun in the last two minutes, or the last half of a shorter limit: `stopped` is then true, and the next run goes
    on from there. Of a function that is killed the next run finishes the batch.

    Raises:
        SettingError: the event asks for something that is not allowed.
        TollmeterError: the run failed; running it again finishes what was begun.
    """
    settings = Settings.load()
    home = Home.resolve(os.environ.get("TOLLMETER_HOME") or _HOME, settings)
    deadline = Deadline(context.get_remaining_time_in_millis)
    if "Records" in event:
        return _messages(event["Records"], home, settings, deadline)
    scope = _scope({} if "detail-type" in event else event, settings, deadline)
    if event.get("dry_run"):
        pending = pending_objects(home, scope)
        return {"objects": [{"key": found.key, "bytes": found.size} for found in pending]}
    return _told(_run(home, settings, scope), deadline)


class Deadline:
    """Says that no more is to be begun, once too little is left of the time that a function has."""

    def __init__(self, remaining_ms: Callable[[], int]) -> None:
        self._remaining_ms = remaining_ms
        self._reserve_ms = min(_RESERVE_MS, remaining_ms() // 2)
        self.reached = False

    def __call__(self) -> bool:
        """Whether to stop."""
        self.reached = self.reached or self._remaining_ms() <= self._reserve_ms
        return self.reached


def _messages(records: list[dict[str, Any]], home: Home, settings: Settings, deadline: Deadline) -> dict[str, Any]:
    if any(record.get("eventSource") != "aws:sqs" for record in records):
        raise SettingError("event", records, "messages of SQS, a schedule of EventBridge, or since, until, dry_run")
    source = MessagesSource(home.place, {record["messageId"]: record["body"] for record in records})
    report = _run(home, settings, Scope((source,), max_memory=settings.etl_max_memory, stop=deadline))
    failures = [{"itemIdentifier": name} for name in source.failed]
    return _told(report, deadline) | {"batchItemFailures": failures}


def _scope(asked: dict[str, Any], settings: Settings, deadline: Deadline) -> Scope:
    if unknown := sorted(set(asked) - set(_KEYS)):
        raise SettingError("event", ", ".join(unknown), ", ".join(_KEYS))
    if not settings.raw_url:
        raise SettingError("raw_url", "", "where raw objects are, such as s3://bucket/raw")
    span = Span(_moment("since", asked.get("since")), _moment("until", asked.get("until")))
    shard = Shard.parse(asked.get("shard") or "1/1")
    return Scope((settings.raw_url,), span, shard, settings.etl_max_memory, deadline)


def _run(home: Home, settings: Settings, scope: Scope) -> RunReport:
    Path(home.path).mkdir(parents=True, exist_ok=True)
    lines = EventLines(settings)
    return run(
        home, settings=settings, scope=scope, told=lambda event: print(lines.encode(event).decode(), end="")  # noqa: T201 - the function's log
    )  # fmt: skip


def _told(report: RunReport, deadline: Deadline) -> dict[str, Any]:
    return {**asdict(report), "invariant_holds": report.holds, "stopped": deadline.reached}


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    found = Parameter(name, "timestamp", None, "").parse(text, datetime.now(UTC))
    assert isinstance(found, datetime)
    return found.replace(tzinfo=UTC)
