"""What keys are fetched with: one short answer over HTTPS from an address of the settings."""

from __future__ import annotations

from http.client import HTTPException
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

from tollmeter.dashboards.access.gate import is_loopback
from tollmeter.model.errors import TransientError

_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 1 << 20


class _NoRedirects(HTTPRedirectHandler):
    """Keys come from the address that the settings name, or not at all."""

    # pyright wants the base class's six names, of which none is looked at.
    def redirect_request(self, *_: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None


def fetch(url: str) -> bytes:
    """What stands at an address.

    Raises:
        TransientError: it did not answer in time, or with an error, or with more than a mebibyte.
    """
    try:
        with build_opener(_NoRedirects).open(url, timeout=_TIMEOUT_S) as answer:
            body: bytes = answer.read(_MOST_BYTES + 1)
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise TransientError(f"{url} did not answer: {error}") from error
    if len(body) > _MOST_BYTES:
        raise TransientError(f"{url} answered with more than {_MOST_BYTES:,} bytes")
    return body


def is_private_enough(url: str) -> bool:
    """Whether nobody on the way can change what an address answers.

    >>> is_private_enough("https://issuer.example/"), is_private_enough("http://issuer.example/")
    (True, False)
    >>> is_private_enough("http://127.0.0.1:9000/")
    True
    """
    parts = urlsplit(url)
    if not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
