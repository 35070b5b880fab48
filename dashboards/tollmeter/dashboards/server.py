"""Serve the dashboard to whoever develops with it: waitress, on the loopback interface unless told otherwise."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tollmeter.dashboards.access.gate import is_loopback
from tollmeter.dashboards.access.sign_in import sign_in_of
from tollmeter.model.errors import MissingExtraError, UsageError
from tollmeter.model.settings import Settings

if TYPE_CHECKING:
    from tollmeter.model.home import Home

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8050


def serve(
    home: Home,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    settings: Settings | None = None,
    debug: bool = False,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the dashboard until interrupted; `on_ready` is told the URL once the port is bound (port 0: a free one).

    Raises:
        UsageError: it would let everybody in, the port is taken, or the host is not of this machine.
        SettingError: a setting has a value that is not allowed.
        MissingExtraError: the extra `dashboard` is not installed.
    """
    try:
        from waitress.server import create_server
    except ModuleNotFoundError as error:
        raise MissingExtraError("waitress", "dashboard") from error
    from tollmeter.dashboards.app import create_app
    from tollmeter.dashboards.statistics import warm_up

    chosen = settings or Settings.load()
    check_open_to(host, chosen)
    listener = bind(host, port)
    try:
        app = create_app(home, chosen, debug=debug)
        warm_up()
        server = create_server(app.server, sockets=[listener], threads=chosen.dashboard_threads, ident=None)
        if on_ready:
            on_ready(url_of(host, listener.getsockname()[1], chosen))
        server.run()
    finally:
        listener.close()


def check_open_to(host: str, settings: Settings) -> None:
    """Refuse to listen where others than this machine can reach a dashboard that asks nobody who they are.

    Raises:
        UsageError: the host is not loopback, and the settings name no way to sign in, or contradict each other.
        SettingError: a setting of signing in has a value that is not allowed.
    """
    if sign_in_of(settings) is None and not is_loopback(host):
        raise UsageError(
            f"--host {host} lets others reach the dashboard, and nobody would have to sign in: set "
            "TOLLMETER_AUTH_ALB_ARN (behind an Application Load Balancer), or TOLLMETER_AUTH_ISSUER with "
            "TOLLMETER_AUTH_AUDIENCE (tokens of an OpenID Connect issuer); docs/dashboard-deploy.md"
        )


def url_of(host: str, port: int, settings: Settings) -> str:
    """Where the dashboard is to be found."""
    return f"http://{_url_host(host)}:{port}{settings.dashboard_prefix}"


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises:
        UsageError: the port is taken, or the host is not of this machine.
    """
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
