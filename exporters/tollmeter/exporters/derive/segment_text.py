"""Ids and texts as X-Ray takes them: https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final
from unicodedata import category, ucd_3_2_0

MAX_NAME: Final = 200
MAX_STRING: Final = 250
MAX_ANNOTATION: Final = 1000

_TRACE_ID: Final = re.compile("[0-9a-f]{32}")
_SPAN_ID: Final = re.compile("[0-9a-f]{16}")
_SYMBOLS: Final = frozenset("_.:/%&#=+-@ ")
_LAST_OF_BMP: Final = "\uffff"


def trace_id_of(trace_id: str) -> str:
    """A W3C trace id in X-Ray's form, empty where it is none; the time that stands in X-Ray's own is not checked.

    >>> trace_id_of("4efaaf4d1e8720b39541901950019ee5")
    '1-4efaaf4d-1e8720b39541901950019ee5'
    """
    valid = _TRACE_ID.fullmatch(trace_id) and trace_id.strip("0")
    return f"1-{trace_id[:8]}-{trace_id[8:]}" if valid else ""


def span_id_of(span_id: str) -> str:
    """A span id, empty where it is none."""
    return span_id if _SPAN_ID.fullmatch(span_id) and span_id.strip("0") else ""


def derived_id(*parts: str) -> str:
    """An id made of what identifies a part, the same each time it is made."""
    return blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()


def name_of(text: str, otherwise: str) -> str:
    """A name: letters, digits, spaces and `_.:/%&#=+-@`, of 200 characters at most; others are left out.

    >>> name_of("retrieve (top 5)", "step"), name_of("😀", "step")
    ('retrieve top 5', 'step')
    """
    return "".join(char for char in text if _may_be_in_name(char))[:MAX_NAME].strip() or otherwise


def clean(text: str) -> str:
    r"""A text that JSON and X-Ray can hold: control characters become spaces, lone surrogates question marks.

    >>> clean("a\x00b\ud800")
    'a b?'
    """
    if text.isprintable():
        return text
    text = text.encode("utf-8", "replace").decode()
    return "".join(char if char.isprintable() or (char.isspace() and char in "\n\t") else " " for char in text)


def _may_be_in_name(char: str) -> bool:
    if char.isascii():
        return char.isalnum() or char in _SYMBOLS
    # The schema names letters that were letters in an early Unicode and are today, none beyond the basic plane.
    return char <= _LAST_OF_BMP and ucd_3_2_0.category(char)[0] in "LNZ" and category(char)[0] in "LNZ"
