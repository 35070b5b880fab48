"""Redshift by its own driver, redshift_connector: a password, or credentials of IAM for a workgroup or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.errors import MissingExtraError, QueryError, TransientError, UsageError
from tollmeter.sql.cancelling import stoppable
from tollmeter.sql.redshift_pool import Pool
from tollmeter.sql.remote import RemoteEngine
from tollmeter.sql.results import MAX_PRECISION, table_of

if TYPE_CHECKING:
    import pyarrow as pa
    from redshift_connector.core import Connection
    from redshift_connector.cursor import Cursor

    from tollmeter.model.settings import Settings
    from tollmeter.sql.cancelling import Cancel

_TYPES: Final = {
    16: "bool",
    20: "int8",
    21: "int2",
    23: "int4",
    700: "float4",
    701: "float8",
    1082: "date",
    1114: "timestamp",
    1184: "timestamptz",
}
"""Types by their OID, as the wire protocol tells them; what is missing is text."""
_NUMERIC: Final = 1700
_HEADER_BYTES: Final = 4  # a numeric's type modifier is its precision and scale, and the length of a varlena header
_SOCKET_GRACE_S: Final = 30


class RedshiftEngine(RemoteEngine):
    """Runs statements over a few connections, each in a transaction of its own; threads may share it."""

    def __init__(self, settings: Settings, statements: int = 1) -> None:
        """Connect; more connections are opened as more statements run at a time.

        Raises:
            UsageError: the settings name no place to connect to.
            QueryError: the connection was refused.
        """
        super().__init__(settings)
        self._pool = Pool(statements, lambda: _connect(settings))
        with self._pool.connection():
            pass

    def transaction(self, statements: Sequence[str]) -> None:
        """Run statements in their order, all or none of them."""
        with self._pool.connection() as connection, connection.cursor() as cursor:
            _execute(cursor, "BEGIN", {})
            try:
                for statement in statements:
                    _execute(cursor, statement, {})
            except BaseException:
                _execute(cursor, "ROLLBACK", {})
                raise
            _execute(cursor, "COMMIT", {})

    def close(self) -> None:
        """Close the connections; closing twice does nothing."""
        self._pool.close()

    def _run(self, sql: str, params: dict[str, Any], cancel: Cancel | None = None) -> pa.Table:
        with self._pool.connection() as connection, connection.cursor() as cursor:
            with stoppable(cancel, self._stop(cursor) if cancel else _nothing):
                _execute(cursor, sql, params)
            if cursor.description is None:
                return table_of([], [], [])
            names = [column[0] for column in cursor.description]
            return table_of(names, _types(cursor), cursor.fetchall())

    def _stop(self, cursor: Cursor) -> Callable[[], None]:
        """What ends a statement of a cursor: a connection of its own, for the statement's is busy with it.

        https://docs.aws.amazon.com/redshift/latest/dg/PG_CANCEL_BACKEND.html
        """
        _execute(cursor, "SELECT pg_backend_pid()", {})
        ((process,),) = cursor.fetchall()

        def stop() -> None:
            with closing(_connect(self._settings)) as other, other.cursor() as asking:
                _execute(asking, "SELECT pg_cancel_backend(:process)", {"process": process})

        return stop


def _nothing() -> None:
    """Stops nothing: nobody can ask for it."""


def _execute(cursor: Cursor, sql: str, params: dict[str, Any]) -> None:
    from redshift_connector.error import Error, InterfaceError, OperationalError

    cursor.paramstyle = "named"
    try:
        cursor.execute(sql, params)
    except (InterfaceError, OperationalError, OSError) as error:
        raise TransientError(f"the connection to Redshift was lost: {error}") from error
    except (Error, KeyError) as error:
        raise QueryError(f"{_told(error)}\nin: {sql}") from error


def _told(error: Exception) -> str:
    """What the server said: its fields come as a dict whose `M` is the message."""
    fields = error.args[0] if error.args else ""
    if isinstance(error, KeyError):
        return f"no value was given for parameter {fields}"
    return str(fields.get("M", fields)) if isinstance(fields, dict) else str(fields)


def _types(cursor: Cursor) -> list[str]:
    assert cursor.ps is not None, "a statement with a result was prepared"
    return [_type(column["type_oid"], column["type_modifier"]) for column in cursor.ps["row_desc"]]


def _type(oid: int, modifier: int) -> str:
    """A type's name.

    >>> _type(1700, (18 << 16 | 12) + 4), _type(1700, -1), _type(1043, 260)
    ('numeric(18,12)', 'numeric', 'varchar')
    """
    if oid != _NUMERIC:
        return _TYPES.get(oid, "varchar")
    packed = modifier - _HEADER_BYTES
    precision, scale = packed >> 16, packed & 0xFFFF
    return f"numeric({precision},{scale})" if 0 < precision <= MAX_PRECISION else "numeric"


def _connect(settings: Settings) -> Connection:
    try:
        import redshift_connector
        from redshift_connector.error import Error
    except ModuleNotFoundError as error:
        raise MissingExtraError("redshift_connector", "redshift") from error
    try:
        connection = redshift_connector.connect(**connect_arguments(settings))
    except (Error, OSError) as error:
        raise QueryError(f"Redshift did not accept the connection: {_told(error)}") from error
    connection.autocommit = True
    with connection.cursor() as cursor:
        # An integer of our own making: SET takes no parameters.
        cursor.execute(f"SET statement_timeout TO {int(settings.redshift_timeout_s * 1000)}")
    return connection


def connect_arguments(settings: Settings) -> dict[str, Any]:
    """How the driver is to connect, by the settings.

    Raises:
        UsageError: they name no place to connect to.
    """
    shared: dict[str, Any] = {
        "database": settings.redshift_database,
        "timeout": int(settings.redshift_timeout_s) + _SOCKET_GRACE_S,
        "application_name": "tollmeter",
    }
    if settings.redshift_sslmode == "disable":
        shared["ssl"] = False
    else:
        shared["sslmode"] = settings.redshift_sslmode
    return shared | _who(settings)


def _who(settings: Settings) -> dict[str, Any]:
    if settings.redshift_password and settings.redshift_host:
        where = {"host": settings.redshift_host, "port": settings.redshift_port}
        return where | {"user": settings.redshift_user, "password": settings.redshift_password}
    region = {"region": settings.region} if settings.region else {}
    if settings.redshift_workgroup:
        return {"iam": True, "is_serverless": True, "serverless_work_group": settings.redshift_workgroup} | region
    if settings.redshift_cluster:
        return {
            "iam": True,
            "cluster_identifier": settings.redshift_cluster,
            "db_user": settings.redshift_user,
        } | region
    raise UsageError(
        "the engine redshift needs TOLLMETER_REDSHIFT_WORKGROUP or TOLLMETER_REDSHIFT_CLUSTER (credentials of IAM), "
        "or TOLLMETER_REDSHIFT_HOST with TOLLMETER_REDSHIFT_USER and TOLLMETER_REDSHIFT_PASSWORD"
    )
