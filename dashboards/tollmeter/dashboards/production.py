"""Serve the dashboard for many: gunicorn, one process with threads, that ends what it has begun when told to stop.

One process, for DuckDB spreads a query over the cores by itself and lets go of the GIL, and a second would keep the
same answers and file footers again. More viewers than one process serves get more tasks behind the load balancer.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.errors import MissingExtraError

if TYPE_CHECKING:
    from tollmeter.model.home import Home
    from tollmeter.model.settings import Settings

GRACE_S: Final = 60
"""How long requests that were begun may take once it is told to stop."""
_KEEP_ALIVE_S: Final = 75
_MEMORY: Final = "/dev/shm"  # noqa: S108 - gunicorn's heartbeat file, which must not block on a disk


def serve_production(
    home: Home, settings: Settings, host: str, port: int, *, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve until told to stop (SIGTERM, SIGINT); `on_ready` is told the URL once requests are answered.

    Raises:
        UsageError: it would let everybody in, the port is taken, or the host is not of this machine.
        SettingError: a setting has a value that is not allowed.
        MissingExtraError: the extra `dashboard` is not installed.
    """
    try:
        from gunicorn.app.base import BaseApplication
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "dashboard") from error
    from tollmeter.dashboards.access_log import log_as_json
    from tollmeter.dashboards.server import bind, check_open_to, url_of

    check_open_to(host, settings)
    log_as_json()
    listener = bind(host, port)
    url = url_of(host, listener.getsockname()[1], settings)

    class Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
        def load_config(self) -> None:
            for name, value in _config(settings, listener.fileno()).items():
                self.cfg.set(name, value)
            self.cfg.set("post_worker_init", lambda _worker: on_ready(url) if on_ready else None)

        def load(self) -> Any:
            from tollmeter.dashboards.app import create_app
            from tollmeter.dashboards.statistics import warm_up

            warm_up()
            return create_app(home, settings).server

    Server().run()


def _config(settings: Settings, descriptor: int) -> dict[str, Any]:
    return {
        "bind": f"fd://{descriptor}",
        "workers": 1,
        "worker_class": "gthread",
        "threads": settings.dashboard_threads,
        # Longer than a load balancer keeps a connection (60 s): it would send a request on one that is being closed.
        "keepalive": _KEEP_ALIVE_S,
        "graceful_timeout": GRACE_S,
        # Of the worker's heartbeat; a request on a thread may take longer.
        "timeout": GRACE_S,
        "worker_tmp_dir": _MEMORY if os.access(_MEMORY, os.W_OK) else tempfile.gettempdir(),
        "logger_class": "tollmeter.dashboards.gunicorn_log.GunicornLog",
        "control_socket_disable": True,
        # X-Forwarded-* are read by the app, as many hops as the setting says.
        "forwarded_allow_ips": "",
        "proc_name": "tollmeter-dashboard",
    }
