"""Who a request belongs to, read from its headers by the mappings in the settings."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollmeter.instrumentation.context import ATTRIBUTION_FIELDS
from tollmeter.instrumentation.propagation import baggage
from tollmeter.instrumentation.text import clean_text
from tollmeter.model.errors import SettingError
from tollmeter.model.names import HEADER_BAGGAGE
from tollmeter.model.settings import Settings

_MAX_TOKEN: Final = 16 << 10
_JWT_PARTS: Final = 3


class Attributor:
    """Reads attribution from request headers, claims of the bearer token and W3C baggage, in rising precedence."""

    def __init__(self, settings: Settings) -> None:
        """Compile the mappings.

        Raises:
            SettingError: a mapping names a field that does not exist.
        """
        check_fields("headers", settings.headers)
        check_fields("claims", settings.claims)
        check_fields("baggage", settings.baggage)
        self.defaults: dict[str, Any] = {
            name: clean_text(value) for name, value in (("team", settings.team), ("feature", settings.feature)) if value
        }
        self._headers = {header.lower().encode(): field for field, header in settings.headers.items()}
        self._claims = settings.claims
        self._baggage = settings.baggage
        self.reads_headers = bool(self._headers or self._claims or self._baggage)
        """Whether anything is read from headers; else every request is attributed to the defaults."""

    def read(self, headers: dict[bytes, bytes]) -> dict[str, Any]:
        """Fields found, over the defaults of the settings."""
        found = dict(self.defaults)
        if self._baggage and (value := headers.get(HEADER_BAGGAGE.encode())):
            found |= self._from_baggage(value)
        if self._claims and (value := headers.get(b"authorization")):
            found |= self._from_token(value)
        for header, field in self._headers.items():
            if value := headers.get(header):
                found[field] = clean_text(value.decode("latin-1"))
        return found

    @property
    def wants_baggage(self) -> bool:
        """Whether any field is read from baggage."""
        return bool(self._baggage)

    def add_baggage(self, attribution: dict[str, Any], members: Mapping[str, object]) -> None:
        """Add what baggage says of fields that no header has told; `members` are decoded."""
        for field, key in self._baggage.items():
            if members.get(key) and attribution.get(field) == self.defaults.get(field):
                attribution[field] = clean_text(members[key])

    def _from_baggage(self, value: bytes) -> dict[str, str]:
        plain = baggage.read(value.decode("latin-1"))
        return {field: clean_text(plain[key]) for field, key in self._baggage.items() if plain.get(key)}

    def _from_token(self, value: bytes) -> dict[str, str]:
        claims = _claims_of(value)
        return {field: clean_text(claims[claim]) for field, claim in self._claims.items() if claims.get(claim)}


def check_fields(setting: str, mapping: Mapping[str, str]) -> None:
    """Whether a setting maps fields of attribution.

    Raises:
        SettingError: one of them does not exist.
    """
    for field in mapping:
        if field not in ATTRIBUTION_FIELDS:
            raise SettingError(setting, field, f"a field of {', '.join(sorted(ATTRIBUTION_FIELDS))}")


def _claims_of(authorization: bytes) -> dict[str, object]:
    """The payload of a bearer JWT; not verified, the service has done that or refuses the request itself."""
    scheme, _, token = authorization.partition(b" ")
    parts = token.split(b".")
    if scheme.lower() != b"bearer" or len(parts) != _JWT_PARTS or len(token) > _MAX_TOKEN:
        return {}
    try:
        payload = base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(payload, type=dict[str, object])
    except (binascii.Error, msgspec.MsgspecError):
        return {}
