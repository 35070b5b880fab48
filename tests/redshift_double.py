"""Redshift on loopback: the real driver talks to a relay, the relay to PostgreSQL in a folder of its own.

The relay does what PostgreSQL cannot be told otherwise: it drops Redshift's startup parameters, answers with Redshift's
server version, and rewrites what PostgreSQL lacks (`REWRITES`). All else reaches PostgreSQL as the driver sent it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import sqlglot

USER, PASSWORD, DATABASE = "tollmeter", "Made-up-1", "analytics"
_OLDEST = 15  # the first with REGEXP_SUBSTR
_FOUND = {int(path.name): path / "bin" for path in Path("/usr/lib/postgresql").glob("[0-9]*") if path.name.isdigit()}
_BINARIES = _FOUND.get(max(_FOUND, default=0), Path())
_UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
_KEPT = (b"user", b"database")
_SHIMS = "CREATE VIEW svv_roles AS SELECT rolname::varchar AS role_name FROM pg_roles;"


def _to_postgres(sql: str) -> str:
    return sqlglot.transpile(sql, read="redshift", write="postgres")[0]


REWRITES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    # PostgreSQL binds views early; it has no external schemas: the tests fill plain ones.
    (re.compile(r"\s+WITH NO SCHEMA BINDING\s*$"), lambda _: ""),
    (re.compile(r"CREATE EXTERNAL SCHEMA (IF NOT EXISTS \S+)\s.*", re.DOTALL), lambda m: f"CREATE SCHEMA {m[1]}"),
    (re.compile(r"\s+DISTSTYLE AUTO\s+COMPOUND SORTKEY \([^)]*\)\s*$"), lambda _: ""),
    (re.compile(r"TO ROLE "), lambda _: "TO "),
    # DATEADD's unit is no value, so no function can stand in for it; the others go the same way.
    (
        re.compile(r".*\b(?:CONVERT_TIMEZONE|DATEADD|GETDATE|NVL)\s*\(.*", re.DOTALL | re.IGNORECASE),
        lambda m: _to_postgres(m[0]),
    ),
)


@dataclass(frozen=True)
class RedshiftDouble:
    """Where the relay listens, and how to reach PostgreSQL behind it."""

    port: int
    folder: Path
    received: list[str]
    """Texts of all statements, as the driver sent them."""

    def psql(self, sql: str, stdin: bytes = b"") -> str:
        """What psql prints for a statement."""
        arguments = [_BINARIES / "psql", "-h", self.folder, "-U", USER, "-d", DATABASE, "-qAt", "-v", "ON_ERROR_STOP=1"]
        ran = subprocess.run([*map(str, arguments), "-c", sql], input=stdin, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout.decode().strip()


def missing() -> str:
    """Why there can be no double here, or nothing."""
    there = max(_FOUND, default=0) >= _OLDEST and (_BINARIES / "initdb").exists()
    return "" if there else f"no PostgreSQL {_OLDEST} or later on this machine: make apt installs it"


@contextmanager
def redshift_double() -> Iterator[RedshiftDouble]:
    """A fresh database behind a relay."""
    folder = Path(tempfile.mkdtemp(prefix="tollmeter-pg-"))
    try:
        with _postgres(folder), _relay(folder) as (port, received):
            double = RedshiftDouble(port, folder, received)
            double.psql(_SHIMS)
            yield double
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _postgres(folder: Path) -> Iterator[None]:
    as_root = os.geteuid() == 0
    if as_root:
        shutil.chown(folder, _UNPRIVILEGED)

    def run(program: str, *arguments: str) -> None:
        command = [str(_BINARIES / program), "-D", str(folder / "data"), *arguments]
        log = folder.with_suffix(".log")
        with log.open("ab") as out:  # a file, for the server would hold a pipe open
            code = subprocess.run(
                command, stdout=out, stderr=out, user=_UNPRIVILEGED if as_root else None, cwd=folder, check=False
            ).returncode
        assert code == 0, log.read_text()
        log.unlink()

    secret = folder / "secret"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    run("initdb", "-U", USER, f"--pwfile={secret}", "--auth-local=trust", "-E", "UTF8", "--locale=C", "-N")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c timezone=UTC"
    run("pg_ctl", "-w", "-o", options, "-l", str(folder / "log"), "start")
    try:
        subprocess.run([_BINARIES / "createdb", "-h", folder, "-U", USER, DATABASE], check=True)
        yield
    finally:
        run("pg_ctl", "-m", "immediate", "-w", "stop")


@contextmanager
def _relay(folder: Path) -> Iterator[tuple[int, list[str]]]:
    received: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                threading.Thread(target=_serve, args=(listener.accept()[0], folder, received), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], received
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _serve(client: socket.socket, folder: Path, received: list[str]) -> None:
    with client, socket.socket(socket.AF_UNIX) as server, suppress(ConnectionError):
        server.connect(str(folder / ".s.PGSQL.5432"))
        server.sendall(_startup(client))
        back = threading.Thread(target=_answer, args=(server, client), daemon=True)
        back.start()
        while message := _message(client):
            kind, body = message
            server.sendall(_packed(kind, _rewritten(kind, body, received)))
        server.shutdown(socket.SHUT_WR)
        back.join()


def _startup(client: socket.socket) -> bytes:
    (length,) = struct.unpack("!i", _exactly(client, 4))
    body = _exactly(client, length - 4)
    parts = body[4:].rstrip(b"\0").split(b"\0")
    kept = [
        part for name, value in zip(parts[::2], parts[1::2], strict=True) if name in _KEPT for part in (name, value)
    ]
    payload = body[:4] + b"\0".join(kept) + b"\0\0"
    return struct.pack("!i", len(payload) + 4) + payload


def _rewritten(kind: bytes, body: bytes, received: list[str]) -> bytes:
    if kind not in (b"P", b"Q"):
        return body
    name, text, rest = body.split(b"\0", 2) if kind == b"P" else (b"", *body.split(b"\0", 1))
    sql = text.decode()
    received.append(sql)
    for pattern, replacement in REWRITES:
        sql = pattern.sub(replacement, sql)
    head = name + b"\0" if kind == b"P" else b""
    return head + sql.encode() + b"\0" + rest


def _answer(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while message := _message(server):
            kind, body = message
            if kind == b"S" and body.startswith(b"server_version\0"):
                body = b"server_version\x008.0.2\0"
            client.sendall(_packed(kind, body))


def _message(source: socket.socket) -> tuple[bytes, bytes] | None:
    kind = source.recv(1)
    if not kind:
        return None
    (length,) = struct.unpack("!i", _exactly(source, 4))
    return kind, _exactly(source, length - 4)


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _exactly(source: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = source.recv(count - len(found))
        if not part:
            raise ConnectionResetError
        found += part
    return found
