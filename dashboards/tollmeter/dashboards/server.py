"""Serve the dashboard: waitress on the loopback interface unless told otherwise."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tollmeter.model.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from tollmeter.model.home import Home

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8050
_THREADS: Final = 8


def serve(
    home: Home,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    debug: bool = False,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the dashboard until interrupted; `on_ready` is told the URL once the port is bound (port 0: a free one).

    The page has no login: a host other than loopback shows spend to everyone who reaches it.

    Raises:
        UsageError: the port is taken or the host is not of this machine.
        MissingExtraError: the extra `dashboard` is not installed.
    """
    try:
        from waitress.server import create_server
    except ModuleNotFoundError as error:
        raise MissingExtraError("waitress", "dashboard") from error
    from tollmeter.dashboards.app import create_app

    listener = _bind(host, port)
    try:
        server = create_server(create_app(home, debug=debug).server, sockets=[listener], threads=_THREADS, ident=None)
        if on_ready:
            on_ready(f"http://{_url_host(host)}:{listener.getsockname()[1]}/")
        server.run()
    finally:
        listener.close()


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        hint = "; --port 0 takes a free one" if port else ""
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror or error}{hint}") from error
    return listener


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
