"""Kinds of value that a setting may have: how each is read from text, and what it accepts, in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tollmeter.model.names import PROPAGATION_DATADOG, PROPAGATION_TRACECONTEXT, PROPAGATION_XRAY

HOST_RULE: Final = r"(?P<host>(?:\*\.)?[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\])(?::(?P<port>\d{1,5}))?(?P<prefix>/\S*)?"
"""A pattern: `host[:port][/prefix]` or `*.suffix[:port][/prefix]`."""
STATSD_RULE: Final = (
    r"udp://(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})|unix(?:gram|stream)?://(?P<path>/.+)"
)
"""A pattern: `udp://host:port` or `unix:///path`."""
PROVIDER_NAME: Final = r"[a-z0-9][a-z0-9_.-]{0,63}"

_HOST: Final = r"(?:\*\.)?[a-z0-9_.-]+|[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:]*"
_SIZES: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Kind(NamedTuple):
    """One kind of value; `read` raises KeyError, ValueError or ArithmeticError on what it does not accept.

    `text_of` makes the text of a value that was given as an object, where such a value must be looked at as closely.
    """

    read: Callable[[str], object]
    allowed: str
    text_of: Callable[[Any], str] | None = None


def _bool(value: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return known[value.strip().lower()]


def _positive(value: str) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError(value)
    return number


def _ratio(value: str) -> float:
    ratio = float(value)
    if not 0 <= ratio <= 1:
        raise ValueError(value)
    return ratio


def _usd(value: str) -> Decimal:
    amount = Decimal(value)
    if not (amount.is_finite() and amount >= 0):
        raise ValueError(value)
    return amount


def _zone(value: str) -> str:
    from zoneinfo import ZoneInfo

    return ZoneInfo(value.strip()).key


def _count(value: str) -> int:
    number = int(value)
    if number < 0:
        raise ValueError(value)
    return number


def _bytes(value: str) -> int:
    text = value.strip().upper().removesuffix("B").removesuffix("I")
    unit = text[-1:] if text[-1:] in ("K", "M", "G") else ""
    return int(float(text.removesuffix(unit)) * _SIZES[unit])


def _pairs(value: str) -> dict[str, str]:
    return dict(_pair(item) for item in value.split(",") if item.strip())


def _pair(item: str) -> tuple[str, str]:
    key, sign, target = item.partition("=")
    if not (key.strip() and sign and target.strip()):
        raise ValueError(item)
    return key.strip(), target.strip()


def _days(value: str) -> dict[str, str]:
    pairs = _pairs(value)
    for days in pairs.values():
        if int(days) < 1:
            raise ValueError(days)
    return pairs


def _provider_hosts(value: str) -> dict[str, str]:
    pairs = _pairs(value)
    for host, provider in pairs.items():
        if not (re.fullmatch(HOST_RULE, host) and re.fullmatch(PROVIDER_NAME, provider)):
            raise ValueError(host)
    return pairs


def _names(value: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in value.split(",") if item.strip())


def _hosts(value: str) -> tuple[str, ...]:
    hosts = tuple(host.lower().strip("[]") for host in _names(value))
    for host in hosts:
        if host != "*" and not re.fullmatch(_HOST, host):
            raise ValueError(host)
    return hosts


def _styles(value: str) -> tuple[str, ...]:
    known = {name: name for name in (PROPAGATION_TRACECONTEXT, PROPAGATION_XRAY, PROPAGATION_DATADOG)}
    return () if value.strip().lower() == "none" else tuple(known[name.lower()] for name in _names(value))


def _tag(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]*", value):
        raise ValueError(value)
    return value


def _statsd(value: str) -> str:
    if not re.fullmatch(STATSD_RULE, value):
        raise ValueError(value)
    return value


def _lake(value: str) -> str:
    scheme, sign, rest = value.partition("://")
    if (sign and scheme != "s3") or (sign and not rest.partition("/")[0]) or "?" in rest or "#" in rest:
        raise ValueError(value)
    return value.rstrip("/") or value


def _path(value: str) -> str:
    path = f"/{value.strip('/')}/" if value.strip("/") else "/"
    if not re.fullmatch(r"(/[\w.~-]+)*/", path):
        raise ValueError(value)
    return path


def _text_of_pairs(value: dict[str, str]) -> str:
    return ",".join(f"{key}={target}" for key, target in value.items())


TEXT: Final = Kind(str, "text")
TAG: Final = Kind(_tag, "letters, digits, dot, hyphen and underscore")
BOOL: Final = Kind(_bool, "true or false")
SECONDS: Final = Kind(_positive, "a positive number of seconds")
MILLIS: Final = Kind(_positive, "a positive number of milliseconds")
RATIO: Final = Kind(_ratio, "a number from 0 to 1")
USD: Final = Kind(_usd, "an amount of USD, 0 or more")
ZONE: Final = Kind(_zone, "an IANA name such as Europe/Berlin")
COUNT: Final = Kind(_count, "a whole number, 0 or more")
BYTES: Final = Kind(_bytes, "a size such as 64M")
PAIRS: Final = Kind(_pairs, "pairs such as tenant_id=x-tenant-id,user_id=x-user-id")
DAYS: Final = Kind(_days, "pairs of a table and a number of days, such as llm_calls=400,quarantine=30", _text_of_pairs)
PROVIDER_HOSTS: Final = Kind(
    _provider_hosts, "pairs such as llm.internal:8000=openai,*.corp.example/anthropic=anthropic", _text_of_pairs
)
NAMES: Final = Kind(_names, "names separated by commas")
HOSTS: Final = Kind(_hosts, "hosts without port, *.suffix, or *, separated by commas", ",".join)
STYLES: Final = Kind(_styles, "some of tracecontext, xray, datadog, separated by commas, or none", ",".join)
LAKE: Final = Kind(_lake, "a folder, or an address such as s3://bucket/lake")
PATH: Final = Kind(_path, "a path such as /tollmeter/")
STATSD: Final = Kind(_statsd, "an address such as udp://localhost:8125 or unix:///var/run/datadog/dsd.socket")


def choice(*allowed: str) -> Kind:
    """One of some words."""
    return Kind(lambda value: {name: name for name in allowed}[value.strip().lower()], "one of " + ", ".join(allowed))
