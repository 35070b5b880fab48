"""Redshift by its Data API: statements are submitted over HTTPS, asked after until they end, and read page by page."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from tollmeter.model.errors import MissingExtraError, QueryError, TransientError, UsageError
from tollmeter.sql.placing import without_unbindable
from tollmeter.sql.remote import RemoteEngine
from tollmeter.sql.results import table_of

if TYPE_CHECKING:
    import pyarrow as pa

    from tollmeter.model.settings import Settings
    from tollmeter.sql.cancelling import Cancel

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0
_GROWTH: Final = 1.5
_BATCH: Final = 40  # statements that one BatchExecuteStatement takes
_FINISHED: Final = "FINISHED"
_ENDED: Final = (_FINISHED, "FAILED", "ABORTED")
_BUSY: Final = ("ActiveStatementsExceededException", "ActiveSessionsExceededException", "ThrottlingException")


class RedshiftDataEngine(RemoteEngine):
    """Runs statements through the Data API; each stands alone, so threads may share the engine."""

    def __init__(self, settings: Settings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Make the client; nothing is sent yet.

        Raises:
            UsageError: the settings name neither workgroup nor cluster.
        """
        super().__init__(settings)
        self._where = _where(settings)
        self._sleep = sleep
        self._client = _client(settings)

    def transaction(self, statements: Sequence[str]) -> None:
        """Run statements in their order, all or none of them; 40 at most, as the API has it."""
        if len(statements) > _BATCH:
            raise UsageError(f"{len(statements)} statements in one transaction: the Data API takes {_BATCH}")
        call = self._client.batch_execute_statement
        self._submitted(call, None, Sqls=list(statements), ExecutionMode="TRANSACTION")

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _run(self, sql: str, params: dict[str, Any], cancel: Cancel | None = None) -> pa.Table:
        text, bound = without_unbindable(sql, params)
        given = [{"name": name, "value": _spelled(value)} for name, value in bound.items()]
        call = self._client.execute_statement
        if cancel:
            cancel.check()
        ended = self._submitted(call, cancel, Sql=text, **({"Parameters": given} if given else {}))
        return self._result(ended["Id"]) if ended["HasResultSet"] else table_of([], [], [])

    def _submitted(self, call: Callable[..., dict[str, Any]], cancel: Cancel | None, **request: Any) -> dict[str, Any]:
        with _faults():
            # The token makes a repeated submission, after an answer that was lost, the same statement.
            statement = call(**request, **self._where, ClientToken=str(uuid4()), StatementName="tollmeter")["Id"]
        with _faults():
            ended = self._ended(statement, cancel)
        if ended["Status"] != _FINISHED:
            raise QueryError(f"{ended.get('Error') or ended['Status'].lower()}\nin: {_text(request)}")
        return ended

    def _ended(self, statement: str, cancel: Cancel | None) -> dict[str, Any]:
        """What is said of a statement that ended; one that takes too long, or nobody waits for, is cancelled."""
        deadline = time.monotonic() + self._settings.redshift_timeout_s
        try:
            for wait in _waits():
                found: dict[str, Any] = self._client.describe_statement(Id=statement)
                if found["Status"] in _ENDED:
                    return found
                if time.monotonic() >= deadline:
                    break
                self._pause(min(wait, max(deadline - time.monotonic(), 0.001)), cancel)
        except BaseException:
            self._cancel(statement)
            raise
        self._cancel(statement)
        raise QueryError(f"cancelled after {self._settings.redshift_timeout_s:g} s, as redshift_timeout_s says")

    def _pause(self, seconds: float, cancel: Cancel | None) -> None:
        """Wait, unless nobody waits for the statement any more.

        Raises:
            CancelledError: nobody does.
        """
        if cancel is None:
            self._sleep(seconds)
        elif cancel.wait(seconds):
            cancel.check()

    def _cancel(self, statement: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.cancel_statement(Id=statement)
        except (BotoCoreError, ClientError):
            return  # it may have ended in the meantime; what is told is why it was to be cancelled

    def _result(self, statement: str) -> pa.Table:
        columns: list[dict[str, Any]] = []
        rows: list[list[Any]] = []
        with _faults():
            for page in self._client.get_paginator("get_statement_result").paginate(Id=statement):
                columns = columns or page["ColumnMetadata"]
                rows += [[_value(field) for field in record] for record in page["Records"]]
        return table_of([one["name"] for one in columns], [_type(one) for one in columns], rows)


class _faults:  # noqa: N801 - a context manager that reads as a clause
    """Turns errors of AWS into ours: what may pass with time is transient."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "")
            raise (TransientError if code in _BUSY else QueryError)(f"Redshift Data API: {error}") from error
        if isinstance(error, BotoCoreError):
            raise QueryError(f"Redshift Data API: {error}") from error


def _waits() -> Iterator[float]:
    """Seconds between two questions: growing, half of them by chance, so that many askers do not march in step."""
    wait = _FIRST_WAIT_S
    while True:
        yield wait * (0.5 + random.random() / 2)  # noqa: S311 - not for secrets
        wait = min(wait * _GROWTH, _LONGEST_WAIT_S)


def _spelled(value: Any) -> str:
    """A value as the API takes it: as text.

    >>> _spelled(datetime(2026, 11, 1, 12)), _spelled(True), _spelled(7)
    ('2026-11-01 12:00:00', 'true', '7')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else str(value)


def _value(field: dict[str, Any]) -> Any:
    return None if field.get("isNull") else next(iter(field.values()))


def _type(column: dict[str, Any]) -> str:
    """A column's type by its metadata.

    >>> _type({"typeName": "numeric", "precision": 38, "scale": 12}), _type({"typeName": "int8", "precision": 19})
    ('numeric(38,12)', 'int8')
    """
    name = str(column["typeName"]).lower()
    sized = name == "numeric" and column.get("precision")
    return f"numeric({column['precision']},{column.get('scale', 0)})" if sized else name


def _text(request: dict[str, Any]) -> str:
    return str(request.get("Sql") or ";\n".join(request["Sqls"]))


def _where(settings: Settings) -> dict[str, str]:
    database = {"Database": settings.redshift_database}
    secret = {"SecretArn": settings.redshift_secret_arn} if settings.redshift_secret_arn else {}
    if settings.redshift_workgroup:
        return database | {"WorkgroupName": settings.redshift_workgroup} | secret
    if settings.redshift_cluster:
        user = {"DbUser": settings.redshift_user} if settings.redshift_user and not secret else {}
        return database | {"ClusterIdentifier": settings.redshift_cluster} | secret | user
    raise UsageError("the engine redshift-data needs TOLLMETER_REDSHIFT_WORKGROUP or TOLLMETER_REDSHIFT_CLUSTER")


def _client(settings: Settings) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ModuleNotFoundError as error:
        raise MissingExtraError("boto3", "redshift") from error
    config = Config(retries={"mode": "standard", "max_attempts": 5})
    return boto3.client("redshift-data", region_name=settings.region or None, config=config)
