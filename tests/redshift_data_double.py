"""The Redshift Data API on loopback: requests are held to botocore's model of the service, statements run on the
PostgreSQL of the Redshift double, and answers come as AWS sends them: late, in pages, typed field by field.

moto's never ends a statement and answers with fixed rows, so it cannot stand in.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
import redshift_connector
from botocore.validate import ParamValidator
from redshift_connector.error import Error
from redshift_double import DATABASE, PASSWORD, USER, RedshiftDouble

MODEL = botocore.session.get_session().get_service_model("redshift-data")
STATES = ("SUBMITTED", "PICKED", "STARTED")
_NAMES = {
    16: "bool",
    20: "int8",
    21: "int2",
    23: "int4",
    701: "float8",
    1082: "date",
    1114: "timestamp",
    1700: "numeric",
}
_PLACE = re.compile(r"(?<!:):([A-Za-z_]\w*)")
_TEXT_OR_NOISE = re.compile(r"'(?:[^']|'')*'|--[^\n]*")


@dataclass
class Statement:
    """One statement that was submitted."""

    request: dict[str, Any]
    asked: int = 0
    status: str = "FINISHED"
    error: str = ""
    columns: list[dict[str, Any]] | None = None
    rows: list[list[dict[str, Any]]] = field(default_factory=list)


@dataclass
class DataApi:
    """The service: what it was asked, and how it is to behave."""

    redshift: RedshiftDouble
    url: str = ""
    page_rows: int = 2
    hangs: bool = False
    """Statements stay STARTED until they are cancelled."""
    throttled: int = 0
    """How many submissions are refused because too many statements run."""
    statements: dict[str, Statement] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """What the service answers."""
        self.calls.append(operation)
        _held_to_model(operation, request)
        return {
            "ExecuteStatement": self._execute,
            "BatchExecuteStatement": self._execute,
            "DescribeStatement": self._describe,
            "GetStatementResult": self._result,
            "CancelStatement": self._cancel,
        }[operation](request)

    def _execute(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.throttled:
            self.throttled -= 1
            raise RefusalError("ActiveStatementsExceededException", "too many active statements")
        _check_parameters(request)
        statement = Statement(request)
        if self.hangs:
            statement.status = "HANGS"
        else:
            self._run(statement)
        key = str(uuid.uuid4())
        self.statements[key] = statement
        return {"Id": key, "CreatedAt": time.time(), "Database": request["Database"]}

    def _run(self, statement: Statement) -> None:
        connection = redshift_connector.connect(
            host="127.0.0.1", port=self.redshift.port, user=USER, password=PASSWORD, database=DATABASE, ssl=False
        )
        request = statement.request
        given = {one["name"]: one["value"] for one in request.get("Parameters", [])}
        try:
            with connection.cursor() as cursor:
                cursor.paramstyle = "named"
                for sql in request.get("Sqls", [request.get("Sql")]):
                    cursor.execute(sql, given)
                if cursor.description and "Sql" in request:
                    assert cursor.ps is not None
                    row_desc = cursor.ps["row_desc"]
                    statement.columns = [
                        _column(one, kind) for one, kind in zip(cursor.description, row_desc, strict=True)
                    ]
                    statement.rows = [[_field(value) for value in row] for row in cursor.fetchall()]
            connection.commit()
        except Error as error:
            statement.status, statement.error = "FAILED", f"ERROR: {error.args[0]['M']}"
        finally:
            connection.close()

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        statement = self._found(request)
        early = STATES[min(statement.asked, 2)] if statement.asked < 3 or statement.status == "HANGS" else ""
        statement.asked += 1
        status = early or statement.status
        told = {"Id": request["Id"], "Status": status, "HasResultSet": status == "FINISHED" and bool(statement.columns)}
        return told | ({"Error": statement.error} if status == "FAILED" else {})

    def _result(self, request: dict[str, Any]) -> dict[str, Any]:
        statement = self._found(request)
        assert statement.columns is not None
        start = int(request.get("NextToken", "0"))
        end = start + self.page_rows
        more = {"NextToken": str(end)} if end < len(statement.rows) else {}
        page = {"Records": statement.rows[start:end], "ColumnMetadata": statement.columns}
        return page | {"TotalNumRows": len(statement.rows)} | more

    def _cancel(self, request: dict[str, Any]) -> dict[str, Any]:
        self._found(request).status = "ABORTED"
        self.cancelled.append(request["Id"])
        return {"Status": True}

    def _found(self, request: dict[str, Any]) -> Statement:
        if request["Id"] not in self.statements:
            raise RefusalError("ResourceNotFoundException", "Query does not exist.")
        return self.statements[request["Id"]]


class RefusalError(Exception):
    """An error the service answers with."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def data_api(redshift: RedshiftDouble) -> Iterator[DataApi]:
    """The service on a port of its own."""
    api = DataApi(redshift)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].removeprefix("RedshiftData.")
            try:
                code, answer = 200, api.answer(operation, body)
            except RefusalError as refusal:
                code, answer = 400, {"__type": refusal.code, "message": str(refusal), "Message": str(refusal)}
            payload = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 - the base class's name

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


def _held_to_model(operation: str, request: dict[str, Any]) -> None:
    shape: Any = MODEL.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise RefusalError("ValidationException", report.generate_report())
    for name, value in request.items():
        pattern = shape.members[name].metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            raise RefusalError("ValidationException", f"{name}={value!r} does not match {pattern}")
    if "Sql" in request and len(request["Sql"].encode()) > 100 << 10:
        raise RefusalError("ValidationException", "SQL text is longer than 100 KB")


def _check_parameters(request: dict[str, Any]) -> None:
    given = {one["name"] for one in request.get("Parameters", [])}
    texts = request.get("Sqls", [request.get("Sql")])
    used = {name for text in texts for name in _PLACE.findall(_TEXT_OR_NOISE.sub("", text))}
    if unused := sorted(given - used):
        raise RefusalError(
            "ValidationException", f"Parameters list contains unused parameters. Unused parameters: {unused}"
        )
    if missing := sorted(used - given):
        raise RefusalError("ValidationException", f"Parameters list is missing parameters: {missing}")


def _column(described: tuple[Any, ...], row_desc: dict[str, Any]) -> dict[str, Any]:
    name = _NAMES.get(row_desc["type_oid"], "varchar")
    packed = row_desc["type_modifier"] - 4
    sized = name == "numeric" and packed > 0
    precision, scale = (packed >> 16, packed & 0xFFFF) if sized else (0, 0)
    return {"name": described[0], "label": described[0], "typeName": name, "precision": precision, "scale": scale,
            "nullable": 1, "isCaseSensitive": name == "varchar", "isSigned": name != "varchar", "isCurrency": False,
            "length": 0, "schemaName": "", "tableName": ""}  # fmt: skip


def _field(value: Any) -> dict[str, Any]:
    if value is None:
        return {"isNull": True}
    if kind := {bool: "booleanValue", int: "longValue", float: "doubleValue"}.get(type(value)):
        return {kind: value}
    if isinstance(value, Decimal):
        return {"stringValue": f"{value:f}"}
    if isinstance(value, datetime):
        return {"stringValue": value.isoformat(" ")}
    return {"stringValue": value.isoformat() if isinstance(value, date) else str(value)}
