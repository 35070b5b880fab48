"""From the headers of a request to a viewer: which token is believed, as the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from tollmeter.dashboards.access.claims import Scoping
from tollmeter.dashboards.access.viewer import Viewer
from tollmeter.model.errors import AccessError, SettingError, UsageError

if TYPE_CHECKING:
    from tollmeter.dashboards.access.alb import AlbTokens
    from tollmeter.dashboards.access.bearer import BearerTokens
    from tollmeter.model.settings import Settings

_BEARER: Final = "Authorization"
_ALB_DATA: Final = "x-amzn-oidc-data"
_ALB_ACCESS: Final = "x-amzn-oidc-accesstoken"
_SCHEME: Final = "bearer "
_JWT_PARTS: Final = 3


class Headers(Protocol):
    """Headers of a request, found by their names in any case."""

    def get(self, name: str, default: str, /) -> str:
        """The value of a header, else the default."""
        ...


class SignIn:
    """Tells viewers by the tokens of an issuer, of a load balancer, or of either."""

    def __init__(self, scoping: Scoping, bearer: BearerTokens | None, alb: AlbTokens | None) -> None:
        self._scoping, self._bearer, self._alb = scoping, bearer, alb

    def viewer_of(self, headers: Headers) -> Viewer:
        """Who sent these headers.

        Raises:
            AccessError: they carry no token, or one that is not believed.
        """
        data = headers.get(_ALB_DATA, "")
        if self._alb and data:
            return self._scoping.viewer_of(self._of_load_balancer(self._alb.claims(data), headers))
        given = headers.get(_BEARER, "")
        if self._bearer and given.lower().startswith(_SCHEME):
            return self._scoping.viewer_of(self._bearer.claims(given[len(_SCHEME) :].strip()))
        raise AccessError("no token: sign in through the load balancer, or send Authorization: Bearer")

    def _of_load_balancer(self, claims: dict[str, Any], headers: Headers) -> dict[str, Any]:
        """What the load balancer vouches for, and what the access token beside it does.

        Its own claims are those of the user-info endpoint, where Cognito tells no groups.
        """
        token = headers.get(_ALB_ACCESS, "")
        if not self._bearer or len(token.split(".")) != _JWT_PARTS:
            return claims
        more = self._bearer.claims(token)
        if more.get("sub") != claims.get("sub"):
            raise AccessError("the load balancer's access token is of someone else")
        return more | claims


def sign_in_of(settings: Settings) -> SignIn | None:
    """How viewers sign in by the settings; None where they name no way.

    Raises:
        UsageError: an issuer is named without an audience: any token of it would do, whatever app it was made for.
        SettingError: an ARN or address is not what it should be.
        MissingExtraError: PyJWT is not installed.
    """
    if not (settings.auth_issuer or settings.auth_alb_arn):
        if settings.auth_tenant_claim or settings.auth_admin:
            raise UsageError("claims need a token: set TOLLMETER_AUTH_ISSUER or TOLLMETER_AUTH_ALB_ARN")
        return None
    scoping = Scoping(settings.auth_tenant_claim, settings.auth_admin)
    return SignIn(scoping, _bearer_of(settings), _alb_of(settings))


def _bearer_of(settings: Settings) -> BearerTokens | None:
    from tollmeter.dashboards.access.bearer import BearerTokens
    from tollmeter.dashboards.access.key_set import KeySet
    from tollmeter.dashboards.access.web import is_private_enough

    if not settings.auth_issuer:
        return None
    if not settings.auth_audience:
        raise UsageError(
            "TOLLMETER_AUTH_ISSUER needs TOLLMETER_AUTH_AUDIENCE, the client ids whose tokens are for this dashboard"
        )
    for name in ("auth_issuer", "auth_jwks_url"):
        if (url := getattr(settings, name)) and not is_private_enough(url):
            raise SettingError(name, url, "an https:// address")
    return BearerTokens(
        KeySet(settings.auth_issuer, settings.auth_jwks_url), settings.auth_issuer, settings.auth_audience
    )


def _alb_of(settings: Settings) -> AlbTokens | None:
    from tollmeter.dashboards.access.alb import AlbTokens

    if not settings.auth_alb_arn:
        return None
    return AlbTokens(settings.auth_alb_arn, settings.auth_alb_keys_url, settings.auth_issuer, settings.auth_audience)
