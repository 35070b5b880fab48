"""An issuer's public keys: fetched when first needed, kept, and fetched anew when a token names another one."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.access.web import fetch, is_private_enough
from tollmeter.model.errors import AccessError, TransientError

if TYPE_CHECKING:
    from jwt import PyJWK

log: Final = logging.getLogger(__name__)
_KEPT_S: Final = 3600.0
_PAUSE_S: Final = 30.0
_WELL_KNOWN: Final = "/.well-known/openid-configuration"


class KeySet:
    """The keys of one issuer by their id; safe to share between threads.

    Keys are kept for an hour. A token with an id that is not among them makes us look again, at most once in half a
    minute: whoever sends made-up ids sends no request to the issuer for each.
    """

    def __init__(
        self,
        issuer: str,
        url: str = "",
        *,
        get: Callable[[str], bytes] = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer, self._url, self._get, self._clock = issuer, url, get, clock
        self._lock = threading.Lock()
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = self._looked_at = float("-inf")

    def key(self, kid: str) -> PyJWK:
        """The key of an id.

        Raises:
            AccessError: the issuer has no such key, or does not answer and it was not known before.
        """
        with self._lock:
            now = self._clock()
            stale = now - self._fetched_at >= _KEPT_S
            if (stale or kid not in self._keys) and now - self._looked_at >= _PAUSE_S:
                self._looked_at = now
                self._look(now)
            if kid not in self._keys:
                raise AccessError("the token is signed with a key that its issuer does not tell")
            return self._keys[kid]

    def _look(self, now: float) -> None:
        try:
            self._keys = _keys_of(json.loads(self._get(self._address())))
            self._fetched_at = now
        except (TransientError, ValueError) as error:
            # Keys that were known stay in use: an issuer that is down for a while locks nobody out.
            log.warning("keys of %s could not be fetched: %s", self._issuer, error)

    def _address(self) -> str:
        if not self._url:
            told = json.loads(self._get(self._issuer.rstrip("/") + _WELL_KNOWN))
            url = told.get("jwks_uri") if isinstance(told, dict) else None
            if not isinstance(url, str) or not is_private_enough(url):
                raise ValueError(f"its configuration names no jwks_uri of https: {url!r}")
            self._url = url
        return self._url


def _keys_of(told: Any) -> dict[str, PyJWK]:
    """The keys of a JWKS that signatures are checked with; those of kinds not known here are left out."""
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    found: dict[str, PyJWK] = {}
    for one in told["keys"] if isinstance(told, dict) and isinstance(told.get("keys"), list) else ():
        if not isinstance(one, dict) or not isinstance(one.get("kid"), str) or one.get("use", "sig") != "sig":
            continue
        try:
            found[one["kid"]] = PyJWK.from_dict(one)
        except PyJWTError:
            continue
    if not found:
        raise ValueError("the answer holds no key")
    return found
