"""What stands around the dashboard, however it is served: gate, headers, health, a record of each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollmeter.dashboards.access import guard
from tollmeter.dashboards.access.sign_in import sign_in_of
from tollmeter.dashboards.access_log import log_requests
from tollmeter.dashboards.hardening import harden
from tollmeter.dashboards.health import PATHS, Health, add_health

if TYPE_CHECKING:
    from dash import Dash

    from tollmeter.dashboards.lake import Lake
    from tollmeter.model.settings import Settings


def protect(app: Dash, lake: Lake, settings: Settings) -> None:
    """Put it around an application whose pages and callbacks are all there.

    Raises:
        UsageError: the settings that say who may see it contradict each other.
        SettingError: one of them has a value that is not allowed.
        MissingExtraError: PyJWT is not installed.
    """
    add_health(app.server, Health(lake))
    harden(app)
    guard(app.server, sign_in_of(settings), open_paths=PATHS)
    log_requests(app.server, quiet_paths=PATHS)
    if hops := settings.dashboard_proxies:
        from werkzeug.middleware.proxy_fix import ProxyFix

        # The host is not theirs to tell: a load balancer passes on whatever X-Forwarded-Host it was sent.
        app.server.wsgi_app = ProxyFix(app.server.wsgi_app, x_for=hops, x_proto=hops, x_host=0, x_port=0, x_prefix=0)
