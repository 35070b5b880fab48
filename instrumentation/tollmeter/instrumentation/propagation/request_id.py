"""The caller's request id."""

from __future__ import annotations

import re
from typing import Final

from tollmeter.instrumentation.text import clean_text

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")


def sane_request_id(value: bytes | None) -> str:
    """The caller's request id if it is short and plain, and no secret, else empty: it lands in logs and headers."""
    found = value.decode() if value and _SANE_ID.fullmatch(value) else ""
    return found if clean_text(found) == found else ""
