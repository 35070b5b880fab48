"""Providers whose input count leaves the cache out: how their counts are made inclusive, and merged over a stream."""

from __future__ import annotations

from typing import Final

import msgspec

from tollmeter.pricing.shapes.fields import total
from tollmeter.pricing.usage import Usage

_COUNTS: Final = tuple(field for field in Usage.__struct_fields__ if field.endswith("_tokens"))


def inclusive(plain: int | None, read: int | None, written: int | None) -> int | None:
    """The whole input, where the plain count leaves out what was read from and written to the cache.

    >>> inclusive(5, 128955, 1253)
    130213
    """
    return None if plain is None else total(plain, read, written)


def merge(older: Usage | None, newer: Usage | None) -> Usage | None:
    """One usage from two events of a stream: the newer count wins wherever it is said, and none is ever summed.

    Events may say a part only: an Anthropic `message_delta` often has nothing but the output. The whole input is made
    anew from the newest plain input and the newest cache counts.

    >>> start = Usage(input_tokens=110, cache_read_tokens=100, output_tokens=1)
    >>> merge(start, Usage(output_tokens=42)) == Usage(input_tokens=110, cache_read_tokens=100, output_tokens=42)
    True
    """
    if older is None or newer is None:
        return newer or older
    known = {name: _said(getattr(newer, name), getattr(older, name)) for name in _COUNTS}
    plain = _said(_plain(newer), _plain(older))
    known["input_tokens"] = inclusive(plain, known["cache_read_tokens"], known["cache_write_tokens"])
    calls = newer.server_tool_calls or older.server_tool_calls
    return msgspec.structs.replace(newer, **known, server_tool_calls=calls)


def _said(newer: int | None, older: int | None) -> int | None:
    return older if newer is None else newer


def _plain(usage: Usage) -> int | None:
    if usage.input_tokens is None:
        return None
    return usage.input_tokens - (usage.cache_read_tokens or 0) - (usage.cache_write_tokens or 0)
