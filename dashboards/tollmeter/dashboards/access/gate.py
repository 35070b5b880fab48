"""The gate that every request passes before anything answers it: callbacks, pages, assets and exports alike."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from tollmeter.dashboards.access.viewer import LOCAL, Viewer, admit
from tollmeter.model.errors import AccessError

if TYPE_CHECKING:
    from flask import Flask, Request, Response

    from tollmeter.dashboards.access.sign_in import SignIn

_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_SAME_SITE: Final = ("same-origin", "none")
_JSON: Final = "application/json"
_LOCAL_NAME: Final = "localhost"
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403


def guard(server: Flask, sign_in: SignIn | None, *, open_paths: frozenset[str] = frozenset()) -> None:
    """Let requests of a server in only after they have said who they come from.

    Without a way to sign in, requests of this machine to this machine alone pass. `open_paths` answer anybody: nothing
    that stands in the lake may be told there.
    """

    def stop() -> Response | None:
        from flask import request

        if request.path in open_paths:
            return None
        if not _is_same_origin(request):
            return _refusal(_FORBIDDEN, "the request comes from a page of another origin")
        try:
            admit(_who(request, sign_in))
        except AccessError as error:
            return _refusal(_UNAUTHORIZED if sign_in else _FORBIDDEN, str(error))
        return None

    # First of all: what others have registered before is no exception.
    server.before_request_funcs.setdefault(None, []).insert(0, stop)


def _who(request: Request, sign_in: SignIn | None) -> Viewer:
    if sign_in:
        return sign_in.viewer_of(request.headers)
    # A page of another site can point a name of its own at 127.0.0.1; the browser then sends that name.
    near = not request.remote_addr or is_loopback(request.remote_addr)  # a Unix socket has no address
    if not (near and is_loopback(_host_name(request.host))):
        raise AccessError(
            "without a way to sign in this dashboard answers its own machine alone; set TOLLMETER_AUTH_ISSUER or "
            "TOLLMETER_AUTH_ALB_ARN to let others in"
        )
    return LOCAL


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is that of this machine alone.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "example.com")]
    [True, True, True, False, False]
    """
    if host == _LOCAL_NAME:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _host_name(host: str) -> str:
    """A host without its port.

    >>> _host_name("[::1]:8050"), _host_name("localhost:8050"), _host_name("127.0.0.1")
    ('::1', 'localhost', '127.0.0.1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_same_origin(request: Request) -> bool:
    """Whether a request that may change or compute something is of a page of this server, or of no browser at all.

    No cookie of ours tells who someone is, but a proxy's in front does, and browsers send it along from anywhere.
    """
    if request.method in _SAFE_METHODS:
        return True
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site and site not in _SAME_SITE:
        return False
    if origin and origin.partition("://")[2].lower() != request.host.lower():
        return False
    return request.mimetype == _JSON


def _refusal(status: int, reason: str) -> Response:
    from flask import Response

    headers = {"WWW-Authenticate": "Bearer"} if status == _UNAUTHORIZED else {}
    return Response(f"{reason}\n", status, headers, mimetype="text/plain")
