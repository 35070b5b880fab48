"""What every answer carries so that a browser talks to this server alone, keeps no figures and frames nothing."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dash import Dash
    from flask import Response

YEAR_SECONDS: Final = 31_536_000
_SUITES: Final = "_dash-component-suites/"
_ASSETS: Final = "assets/"
_INLINE: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_TLS: Final = f"max-age={YEAR_SECONDS}"
_COMPRESSED: Final = [
    "text/html", "text/css", "application/json", "application/javascript", "text/javascript", "image/svg+xml",
]  # fmt: skip


def harden(app: Dash) -> None:
    """Compress answers and add headers to each, refusals of the gate included; call it once all scripts are there."""
    from flask_compress import Compress

    app.server.config["COMPRESS_MIMETYPES"] = _COMPRESSED
    Compress(app.server)
    app.server.after_request(_Headers(app))


class _Headers:
    def __init__(self, app: Dash) -> None:
        self._app = app
        self._prefix = str(app.config.routes_pathname_prefix)

    def __call__(self, response: Response) -> Response:
        from flask import request

        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", self._policy)
        if request.is_secure:
            response.headers.setdefault("Strict-Transport-Security", _TLS)
        below = request.path.removeprefix(self._prefix)
        if below.startswith(_SUITES) and response.status_code < 400:  # noqa: PLR2004 - every answer that is no error
            # Bundles carry version and build time in their names, so that a browser may keep them for ever.
            response.headers["Cache-Control"] = f"public, max-age={YEAR_SECONDS}, immutable"
        elif not below.startswith(_ASSETS):
            response.headers["Cache-Control"] = "no-store"
        return response

    @cached_property
    def _policy(self) -> str:
        """Scripts are those of this server, and inline those alone that this app was built with.

        Styles have to be inline: Mantine, Plotly and AG Grid write them as they go.
        """
        own = [_hash(script) for script in _INLINE.findall(self._app.index_string)]
        scripts = " ".join(dict.fromkeys([*own, *self._app.csp_hashes()]))
        return (
            f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
            "object-src 'none'; frame-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'self'"
        )


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
