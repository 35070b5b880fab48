"""Access and ID tokens of an OpenID Connect issuer, as `Authorization: Bearer` carries them.

What is checked is RFC 8725 (jwt best practices): the algorithm is ours to choose, never the token's; issuer, audience
and times always.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.errors import AccessError, MissingExtraError

if TYPE_CHECKING:
    from jwt import PyJWK

    from tollmeter.dashboards.access.key_set import KeySet

ALGORITHMS: Final = ("RS256",)
LEEWAY_S: Final = 30
"""What clocks may differ by."""
_MOST_BYTES: Final = 16 << 10
_REQUIRED: Final = ("exp", "iss", "sub")
_ACCESS: Final = "access"


class BearerTokens:
    """Tokens of one issuer, for some audiences."""

    def __init__(self, keys: KeySet, issuer: str, audiences: Iterable[str]) -> None:
        self._keys, self._issuer, self._audiences = keys, issuer, frozenset(audiences)

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token.

        Raises:
            AccessError: it is not of this issuer, not for these audiences, not valid now, or tampered with.
        """
        found = decoded(token, ALGORITHMS, self._keys.key, require=_REQUIRED, issuer=self._issuer)
        if not self._audiences.intersection(_audiences_of(found)):
            raise AccessError("the token is for another audience")
        return found


def decoded(
    token: str,
    algorithms: tuple[str, ...],
    key_of: Callable[[str], PyJWK | str],
    *,
    require: tuple[str, ...],
    issuer: str | None = None,
) -> dict[str, Any]:
    """The claims of a token whose signature and times hold; `key_of` finds the key of an id, `require` is claims.

    Raises:
        AccessError: they do not, or the token cannot be read.
        MissingExtraError: PyJWT is not installed.
    """
    try:
        import jwt
    except ModuleNotFoundError as error:
        raise MissingExtraError("jwt", "dashboard") from error
    if len(token) > _MOST_BYTES:
        raise AccessError("the token is too long")
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in algorithms:
            raise AccessError(f"the token is not signed with {' or '.join(algorithms)}")
        if not isinstance(kid := header.get("kid"), str):
            raise AccessError("the token names no key")
        options: Any = {"require": list(require), "verify_aud": False}  # audiences are looked at by the caller
        claims: dict[str, Any] = jwt.decode(
            token, key_of(kid), algorithms=list(algorithms), leeway=LEEWAY_S, options=options, issuer=issuer
        )
    except jwt.PyJWTError as error:
        raise AccessError(f"the token is not valid: {_reason(error)}") from error
    return claims


def _reason(error: Exception) -> str:
    """Why, in words of ours where the library's would repeat what the token holds."""
    import jwt

    known = {
        jwt.ExpiredSignatureError: "it has expired",
        jwt.ImmatureSignatureError: "it is not valid yet",
        jwt.InvalidIssuerError: "it is of another issuer",
        jwt.InvalidSignatureError: "its signature does not fit",
        jwt.MissingRequiredClaimError: "it lacks a claim",
    }
    return next((text for kind, text in known.items() if isinstance(error, kind)), "it cannot be read")


def _audiences_of(claims: dict[str, Any]) -> set[str]:
    """Whom a token is for; Cognito's access tokens tell it as `client_id`, and have no `aud`.

    https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
    """
    told = claims.get("aud")
    if told is None and claims.get("token_use") == _ACCESS:
        told = claims.get("client_id")
    texts = told if isinstance(told, list) else [told]
    return {text for text in texts if isinstance(text, str)}
