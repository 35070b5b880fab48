"""AWS event streams: frames out of bytes as they arrive.

A frame is, big-endian: its length and the length of its headers (4 bytes each), the CRC-32 of these 8 bytes, headers,
payload, and the CRC-32 of all that came before it. A header is the length of its name (1 byte), the name, a type
(1 byte) and a value.
Source: https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html and
https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple
from zlib import crc32

_PRELUDE: Final = struct.Struct(">III")
_CRC: Final = struct.Struct(">I")
_OVERHEAD: Final = _PRELUDE.size + _CRC.size
_MAX_FRAME: Final = 24 << 20
_STRING: Final = 7
_SIZED: Final = frozenset({6, _STRING})  # bytes and strings carry their length
_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class Frame(NamedTuple):
    """One frame: its headers of type string, such as `:event-type`, and its payload."""

    headers: dict[str, str]
    payload: bytes


class FrameDecoder:
    """Cuts frames out of chunks of any size; holds no more than one unfinished frame.

    After a frame that fails its checksum, or claims more than 24 MiB, nothing can be trusted: `broken` is set, and the
    rest of the stream is passed over.
    """

    def __init__(self) -> None:
        self.broken = False
        self._held = bytearray()

    @property
    def is_cut(self) -> bool:
        """Whether a frame has begun that is not whole."""
        return bool(self._held)

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that a chunk completes; never raises."""
        if self.broken:
            return []
        self._held += chunk
        frames: list[Frame] = []
        at = 0
        while (size := self._size(at)) and at + size <= len(self._held):
            frame = _frame(memoryview(self._held)[at : at + size].tobytes())
            if frame is None:
                self.broken = True
                break
            frames.append(frame)
            at += size
        del self._held[: len(self._held) if self.broken else at]
        return frames

    def _size(self, at: int) -> int:
        if len(self._held) - at < _PRELUDE.size:
            return 0
        size, headers, checksum = _PRELUDE.unpack_from(self._held, at)
        sound = crc32(self._held[at : at + 8]) == checksum
        if not sound or not headers + _OVERHEAD <= size <= _MAX_FRAME:
            self.broken = True
            return 0
        return int(size)


def _frame(data: bytes) -> Frame | None:
    end = len(data) - _CRC.size
    if crc32(data[:end]) != _CRC.unpack_from(data, end)[0]:
        return None
    start = _PRELUDE.size + int.from_bytes(data[4:8])
    return Frame(_headers(data[_PRELUDE.size : start]), data[start:end])


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        kind = data[name_end] if name_end < len(data) else -1
        if kind not in _SIZED and kind not in _SIZES:
            return found
        start = name_end + 1 + 2 * (kind in _SIZED)
        size = int.from_bytes(data[name_end + 1 : start]) if kind in _SIZED else _SIZES[kind]
        if kind == _STRING:
            found[data[at + 1 : name_end].decode(errors="replace")] = data[start : start + size].decode(
                errors="replace"
            )
        at = start + size
    return found
