"""W3C Baggage, as far as attribution travels in it: https://www.w3.org/TR/baggage/."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote

MAX_BYTES: Final = 8192
MAX_MEMBERS: Final = 64
"""What any service must hand on (§3.3.2.5); more may be lost on the way."""

KEY_RULE: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A key: a token of HTTP."""

_PLAIN: Final = "!#$&'()*+-./:<=>?@[]^_`{|}~"  # of baggage-octet, what `quote` would encode


def read(value: str) -> dict[str, str]:
    """Keys and values; properties of members are left out.

    >>> read("tenant=acme%20ltd;private, plan=pro")
    {'tenant': 'acme ltd', 'plan': 'pro'}
    """
    members = [member.split(";", 1)[0].partition("=") for member in value.split(",")]
    return {key.strip(): unquote(text.strip()) for key, _, text in members}


def member(key: str, value: str) -> str:
    """One member, its value percent-encoded.

    >>> member("tenant", "größe, 5 %")
    'tenant=gr%C3%B6%C3%9Fe%2C%205%20%25'
    """
    return f"{key}={quote(value, safe=_PLAIN, errors='replace')}"


def merged(own: str, members: Iterable[tuple[str, str]]) -> tuple[str, int]:
    """The header with members added behind what is the application's own, and how many found no room.

    A key that the application sends itself keeps its value.
    """
    parts = [own] if own.strip() else []
    keys = set(read(own)) if parts else set()
    size, count, left = len(own.encode("utf-8", "replace")), own.count(",") + 1 if parts else 0, 0
    for key, value in members:
        text = member(key, value)
        if key in keys:
            continue
        if count >= MAX_MEMBERS or size + len(text) + 1 > MAX_BYTES:
            left += 1
            continue
        parts.append(text)
        size, count = size + len(text) + 1, count + 1
    return ",".join(parts), left
