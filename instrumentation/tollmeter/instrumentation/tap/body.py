"""The body of a tapped answer: decoded as it passes, and either scanned as a stream or held, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.tap.encodings import Decode, broken, reading

if TYPE_CHECKING:
    from tollmeter.instrumentation.tap.facts import Headers
    from tollmeter.instrumentation.tap.scanning import Scanner

MAX_JSON: Final = 16 << 20
_TAIL: Final = 64 << 10
_USAGE: Final = b'"usage"'
_BINARY: Final = (b"audio/", b"image/", b"video/", b"application/octet-stream")


class Body:
    """Gets the bytes of one answer, in chunks of any size.

    A body that is no stream is held up to 16 MiB. Of a longer one, as images make them, only the last 64 KiB are kept:
    usage stands at the end.
    """

    __slots__ = ("_decode", "_encoding", "_held", "_is_cut", "_is_skipped", "scanner")

    def __init__(self, headers: Headers, *, decoded: bool, scanner: Scanner | None = None) -> None:
        """The head has come; `decoded` says that `feed` gets the body with content encoding undone."""
        self.scanner = scanner
        self._held: bytes | bytearray = b""
        self._is_cut = False
        self._is_skipped = scanner is None and headers.get(b"content-type", b"").startswith(_BINARY)
        self._encoding = b"" if decoded else headers.get(b"content-encoding", b"")
        self._decode: Decode | None = reading(self._encoding) if self._encoding else None

    def feed(self, chunk: bytes) -> None:
        """Some bytes of the body."""
        if self._decode is not None:
            chunk = self._decoded(chunk)
        if self.scanner is not None:
            self.scanner.feed(chunk)
        elif not self._is_skipped:
            if self._held or len(chunk) > MAX_JSON:
                self._hold(chunk)
            else:
                self._held = chunk  # most answers come in one piece

    def _hold(self, chunk: bytes) -> None:
        held = self._held if isinstance(self._held, bytearray) else bytearray(self._held)
        held += chunk
        if len(held) > MAX_JSON:
            self._is_cut = True
            del held[:-_TAIL]
        self._held = held

    def document(self) -> bytes:
        """What was held, once nothing more comes; of a body that was too long, its usage alone."""
        if not self._is_cut:
            return bytes(self._held)
        at = self._held.rfind(_USAGE)
        end = self._held.rfind(b"}")
        usage = _object_after(bytes(self._held[at + len(_USAGE) : end + 1])) if at >= 0 else b""
        if not usage:
            losses.add("answer_over_16MiB")
        return b'{"usage":' + usage + b"}" if usage else b""

    def _decoded(self, chunk: bytes) -> bytes:
        assert self._decode is not None
        try:
            return self._decode(chunk)
        except Exception:  # noqa: BLE001  each library has errors of its own
            self._decode = broken(self._encoding)
            return b""


def _object_after(text: bytes) -> bytes:
    """The JSON object after a colon; usage holds no strings with braces, so that counting them is enough."""
    start, depth = text.find(b"{"), 0
    for at in range(max(start, 0), len(text)):
        depth += (text[at] == ord("{")) - (text[at] == ord("}"))
        if not depth:
            return text[start : at + 1] if start >= 0 else b""
    return b""
