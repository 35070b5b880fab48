"""Text from outside, made fit to be recorded: bounded, free of what stores and terminals refuse, and of secrets."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import filterfalse
from typing import Any, Final

from tollmeter.model.secrets import SHORTEST, scrub

MAX_TEXT: Final = 1024
MAX_NAME: Final = 256
"""Of ids, models and all that names a thing."""

_REMEMBERED: Final = 128
_UNIQUE: Final = "provider_request_id"
_MAX_FIT: Final = 1024
_fit: Final[set[Any]] = {True, False, None, 200}
"""Facts that were found to be as they should."""
_is_known: Final = _fit.__contains__
_BEYOND: Final = 256
"""How much is read past the cut, so that a secret which the cut goes through is known by its shape."""
_UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_HEX: Final = re.compile("(?:req_)?[0-9a-f-]{1,128}")
"""Most ids of requests; hex digits and dashes are no secret of a known shape, and each is new."""
_REPLACEMENT: Final = "\ufffd"


def fit(text: str) -> str:
    """The text without control characters, lone surrogates and non-characters."""
    return text if text.isprintable() else _UNFIT.sub(_REPLACEMENT, text)


def clean_text(value: object, limit: int = MAX_TEXT) -> str:
    r"""A value as text of at most `limit` characters; what has no text is empty. Never raises.

    Control characters (but tab and line breaks), lone surrogates and non-characters become U+FFFD, and secrets of a
    known shape are replaced.

    >>> clean_text("a\x00b"), clean_text("sk-0123456789abcdef"), clean_text(None)
    ('a\ufffdb', '[secret]', '')
    """
    text = value if type(value) is str else _as_text(value)
    if len(text) < SHORTEST and text.isprintable():
        return text
    if len(text) <= _REMEMBERED:
        return _clean_short(text)[:limit]
    return _clean(text[: limit + _BEYOND])[:limit]


def is_clean(name: str) -> bool:
    """Whether `clean_name` would leave a text as it is."""
    return _HEX.fullmatch(name) is not None or clean_text(name, MAX_NAME) == name


def clean_name(value: object) -> str:
    """As `clean_text`, for what names a thing."""
    return clean_text(value, MAX_NAME)


def clean_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts with their texts made fit to be recorded; most are the same for every call, and are looked up only."""
    for value in filterfalse(_is_known, facts.values()):
        if value.__class__ is not str:
            continue
        if not is_clean(value):
            return {name: clean_name(each) if type(each) is str else each for name, each in facts.items()}
        if len(_fit) < _MAX_FIT and value != facts.get(_UNIQUE):
            _fit.add(value)
    return facts


def _as_text(value: object) -> str:
    if value is None:
        return ""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  the object's own
        return ""


def _clean(text: str) -> str:
    return scrub(fit(text))


_clean_short: Final = lru_cache(maxsize=2048)(_clean)
