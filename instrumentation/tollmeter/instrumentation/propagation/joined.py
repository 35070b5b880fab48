"""Headers of lists that were sent in several lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tollmeter.model.names import HEADER_BAGGAGE, HEADER_TRACESTATE

_LISTS: Final = (HEADER_TRACESTATE.encode(), HEADER_BAGGAGE.encode())


def joined(sent: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The lists of trace context, each as the one line that it could have been sent as (RFC 9110 §5.3).

    >>> joined([(b"baggage", b"a=1"), (b"cookie", b"x"), (b"baggage", b"b=2")])
    {b'baggage': b'a=1,b=2'}
    """
    lists: dict[bytes, list[bytes]] = {}
    for name, value in sent:
        if name in _LISTS:
            lists.setdefault(name, []).append(value)
    return {name: b",".join(values) for name, values in lists.items()}
