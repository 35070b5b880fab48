"""Server-sent events: the data of each event in a body."""

from __future__ import annotations

from typing import Final

_FIELD: Final = b"data:"


def data_fields(body: bytes) -> list[bytes]:
    r"""The data of every event, in order; lines of one event are joined, a cut last event is kept as it is.

    >>> data_fields(b"event: x\r\ndata: {}\r\n\r\ndata: [DONE]")
    [b'{}', b'[DONE]']
    """
    events: list[bytes] = []
    lines: list[bytes] = []
    for line in (*body.splitlines(), b""):
        if line.startswith(_FIELD):
            lines.append(line.removeprefix(_FIELD).removeprefix(b" "))
        elif not line and lines:
            events.append(b"\n".join(lines))
            lines = []
    return events
