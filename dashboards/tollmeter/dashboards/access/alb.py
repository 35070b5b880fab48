"""What an Application Load Balancer says of whoever signed in: a token of its own in `x-amzn-oidc-data`.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

from tollmeter.dashboards.access.bearer import LEEWAY_S, decoded
from tollmeter.dashboards.access.web import fetch, is_private_enough
from tollmeter.model.errors import AccessError, SettingError, TransientError

log: Final = logging.getLogger(__name__)
ALGORITHMS: Final = ("ES256",)
_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):elasticloadbalancing:(?P<region>[a-z0-9-]+):\d{12}:loadbalancer/app/[\w-]+/[0-9a-f]+"
)
_KEYS: Final = {
    "aws": "https://public-keys.auth.elb.{region}.amazonaws.com",
    "aws-us-gov": "https://s3-{region}.amazonaws.com/aws-elb-public-keys-prod-{region}",
}
_KID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_MOST_KEYS: Final = 16
_MOST_MISSES: Final = 5
_MISSES_S: Final = 60.0


class AlbTokens:
    """Tokens that one load balancer signs; its key is fetched once per id, from the endpoint of its region.

    An issuer and client ids narrow what is believed, for other rules of the load balancer may sign in elsewhere. Safe
    to share between threads.
    """

    def __init__(
        self,
        arn: str,
        keys_url: str = "",
        issuer: str = "",
        clients: Iterable[str] = (),
        *,
        get: Callable[[str], bytes] = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises SettingError where the ARN, or the address of keys, is not what it should be."""
        self._arn, self._issuer, self._clients = arn, issuer, frozenset(clients)
        self._url = keys_url.rstrip("/") or _endpoint(arn)
        if not is_private_enough(self._url):
            raise SettingError("auth_alb_keys_url", keys_url, "an https:// address")
        self._get, self._clock = get, clock
        self._lock = threading.Lock()
        self._keys: OrderedDict[str, str] = OrderedDict()
        self._misses: list[float] = []

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token.

        Raises:
            AccessError: this load balancer has not signed it, or it is not valid now.
        """
        self._check_header(token)
        return decoded(token, ALGORITHMS, self._key, require=("sub",))

    def _check_header(self, token: str) -> None:
        """Who signed in where, signer and time stand in the token's head, which its signature covers."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise AccessError("the load balancer's token cannot be read") from error
        # Every load balancer of a region has its keys at one endpoint: anybody's would do otherwise.
        if header.get("signer") != self._arn:
            raise AccessError("the token is signed by another load balancer")
        if self._issuer and header.get("iss") != self._issuer:
            raise AccessError("the load balancer's token is of another issuer")
        if self._clients and header.get("client") not in self._clients:
            raise AccessError("the load balancer's token is for another client")
        expires = header.get("exp")
        if not isinstance(expires, int) or expires + LEEWAY_S <= time.time():
            raise AccessError("the load balancer's token has expired")

    def _key(self, kid: str) -> str:
        if not _KID.fullmatch(kid):
            raise AccessError("the token names a key that cannot be")
        with self._lock:
            if kid not in self._keys:
                self._keys[kid] = self._fetched(kid)
                while len(self._keys) > _MOST_KEYS:
                    self._keys.popitem(last=False)
            self._keys.move_to_end(kid)
            return self._keys[kid]

    def _fetched(self, kid: str) -> str:
        """A key in PEM; after a few ids without one in a minute nothing is asked for, whatever is sent to us."""
        now = self._clock()
        self._misses = [moment for moment in self._misses if now - moment < _MISSES_S]
        if len(self._misses) >= _MOST_MISSES:
            raise AccessError("the token's key is not known")
        try:
            return self._get(f"{self._url}/{kid}").decode("ascii")
        except (TransientError, UnicodeDecodeError) as error:
            self._misses.append(now)
            log.warning("the load balancer's key could not be fetched: %s", error)
            raise AccessError("the token's key is not known") from error


def _endpoint(arn: str) -> str:
    """Where the keys of a load balancer's region stand.

    >>> _endpoint("arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188")
    'https://public-keys.auth.elb.eu-central-1.amazonaws.com'
    """
    match = _ARN.fullmatch(arn)
    if not match or match["partition"] not in _KEYS:
        raise SettingError("auth_alb_arn", arn, "the ARN of an Application Load Balancer")
    return _KEYS[match["partition"]].format(region=match["region"])
