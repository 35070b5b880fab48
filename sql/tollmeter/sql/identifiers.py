"""What stands in a statement where nothing can be bound: names, roles, addresses, days; each checked, then quoted."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Final

from tollmeter.model.errors import SettingError

_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,126}")
_GLUE: Final = re.compile(r"[a-zA-Z0-9_-]{1,255}")
_ROLE: Final = re.compile(r"arn:aws(-[a-z]+)*:iam::\d{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)
_S3: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[\w!.*()=/-]{0,960}", re.ASCII)


def identifier(name: str, value: str) -> str:
    """A schema, table, role or column, quoted. Redshift folds names to lower case, so it is told in lower case.

    Raises:
        SettingError: it is no plain identifier of at most 127 characters.

    >>> identifier("schema", "Public")
    '"public"'
    """
    return f'"{_held(_NAME, name, value, "letters, digits and underscores, 127 at most").lower()}"'


def glue_name(name: str, value: str) -> str:
    """A database of the Glue catalog, as a literal.

    Raises:
        SettingError: it has other characters than a Glue database may have.
    """
    return f"'{_held(_GLUE, name, value, 'letters, digits, underscores and hyphens')}'"


def iam_role(name: str, value: str) -> str:
    """A role by its ARN, or several that are taken up in turn, as a literal; or the keyword `default`.

    Raises:
        SettingError: it is neither.

    >>> iam_role("role", "arn:aws:iam::123456789012:role/spectrum")
    "'arn:aws:iam::123456789012:role/spectrum'"
    """
    if value == "default":
        return value
    for one in value.split(","):
        _held(_ROLE, name, one, "default, or an ARN such as arn:aws:iam::123456789012:role/spectrum")
    return f"'{value}'"


def s3_url(name: str, value: str) -> str:
    """An address in S3, as a literal.

    Raises:
        SettingError: it is none, or has characters that would have to be escaped.
    """
    return f"'{_held(_S3, name, value, 'an address such as s3://bucket/folder/')}'"


def day(name: str, value: str) -> str:
    """A day, as a literal.

    Raises:
        SettingError: it is none.
    """
    try:
        return f"'{date.fromisoformat(value).isoformat()}'"
    except ValueError:
        raise SettingError(name, value, "a day such as 2026-11-01") from None


KINDS: Final[dict[str, Callable[[str, str], str]]] = {
    "identifier": identifier,
    "glue_name": glue_name,
    "iam_role": iam_role,
    "s3_url": s3_url,
    "day": day,
}


def _held(rule: re.Pattern[str], name: str, value: str, allowed: str) -> str:
    if not rule.fullmatch(value):
        raise SettingError(name, value, allowed)
    return value
