"""JSON texts bounded to what the longest VARCHAR of Redshift holds, so that no reader cuts them in the middle.

The event lands whatever is in it, for its usage and cost must be in the sums. The whole value is in the raw object.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, islice, takewhile
from typing import Any, Final

import msgspec

MAX_TEXT_BYTES: Final = 65_535
"""docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html"""

CUT: Final = "tollmeter_cut_bytes"
"""Member of a JSON text that was cut: how many bytes the whole one had."""

_UTF8_BYTES: Final = 4
_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


def bounded_json(text: str) -> str:
    """The text of a JSON object or array, valid and of 65,535 bytes at most.

    A longer one keeps its members as long as they fit, each whole, in their order; the last one says that it was cut.

    >>> bounded_json('{"a":1}')
    '{"a":1}'
    """
    if len(text) * _UTF8_BYTES <= MAX_TEXT_BYTES:
        return text
    size = len(text.encode())
    if size <= MAX_TEXT_BYTES:
        return text
    value: Any = _decode(text)
    mark: dict[str, Any] = {CUT: size}
    if isinstance(value, dict):
        fits = _fitting((len(_encode({name: member})) - len("{}") for name, member in value.items()), mark)
        return _encode(dict(islice(value.items(), fits)) | mark).decode()
    return _encode([*value[: _fitting(map(len, value), mark)], mark]).decode()


def _fitting(sizes: Iterable[int], mark: dict[str, Any]) -> int:
    """How many members of these sizes fit beside the mark, with a comma after each."""
    room = MAX_TEXT_BYTES - len(_encode([mark]))
    return sum(1 for _ in takewhile(lambda taken: taken <= room, accumulate(size + len(",") for size in sizes)))
