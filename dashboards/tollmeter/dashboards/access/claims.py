"""From the claims of a token to the rows its bearer sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tollmeter.dashboards.access.viewer import Viewer
from tollmeter.model.errors import AccessError


@dataclass(frozen=True, slots=True)
class Scoping:
    """The claim that names tenants, and the claims that open everything: claim=value.

    Without a tenant claim whoever signs in sees every row; with one, whoever lacks it sees none.

    >>> scoping = Scoping("custom:tenant", {"cognito:groups": "finops"})
    >>> scoping.viewer_of({"sub": "ada", "custom:tenant": "acme"}).tenants
    ('acme',)
    >>> scoping.viewer_of({"sub": "eve"}).tenants
    ()
    >>> scoping.viewer_of({"sub": "root", "cognito:groups": ["finops", "ops"]}).tenants is None
    True
    """

    tenant_claim: str
    admin_claims: Mapping[str, str]

    def viewer_of(self, claims: Mapping[str, Any]) -> Viewer:
        """Who bears these claims.

        Raises:
            AccessError: they name no subject.
        """
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise AccessError("the token names no subject")
        if not self.tenant_claim or self._is_admin(claims):
            return Viewer(subject, None)
        return Viewer(subject, tuple(dict.fromkeys(_texts(find(claims, self.tenant_claim)))))

    def _is_admin(self, claims: Mapping[str, Any]) -> bool:
        return any(value in _texts(find(claims, name)) for name, value in self.admin_claims.items())


def find(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, else by a path into objects.

    >>> find({"https://x.y/tenant": "a"}, "https://x.y/tenant"), find({"app": {"roles": ["b"]}}, "app.roles")
    ('a', ['b'])
    """
    if name in claims:
        return claims[name]
    first, dot, rest = name.partition(".")
    inner = claims.get(first)
    return find(inner, rest) if dot and isinstance(inner, Mapping) else None


def _texts(value: Any) -> tuple[str, ...]:
    """A claim that is a text or a list of texts; anything else names nobody."""
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, list):
        return tuple(item for item in value if isinstance(item, str) and item)
    return ()
