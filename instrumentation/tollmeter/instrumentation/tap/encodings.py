"""Content encodings undone as bytes pass, cut anywhere, for taps that see a body before its client decodes it."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any, Final

from tollmeter.instrumentation.guard import losses

Decode = Callable[[bytes], bytes]
"""Gets some bytes of the body, returns what they complete; raises what its library raises."""

_IDENTITY: Final = ("", "identity")
_ZLIB_MAGIC: Final = 8  # the method "deflate", in the low half of zlib's first byte
_ZSTD_MODULES: Final = ("compression.zstd", "backports.zstd", "zstandard")
_BROTLI_MODULES: Final = ("brotli", "brotlicffi")


class Members:
    """Decodes concatenated members, as gzip and zstd allow: where one ends, the next decoder begins."""

    def __init__(self, new: Callable[[], Any]) -> None:
        self._new = new
        self._decoder = new()
        self._further = False

    def __call__(self, chunk: bytes) -> bytes:
        """What a chunk completes."""
        found = b""
        while chunk:
            if self._decoder.eof:
                self._decoder, self._further = self._new(), True
            try:
                found += self._decoder.decompress(chunk)
            except Exception:
                if not self._further:
                    raise
                return found  # what follows the last member is padding, as clients take it
            chunk = self._decoder.unused_data if self._decoder.eof else b""
        return found


class Deflate:
    """Decodes `deflate`: zlib's format as RFC 9110 says, or the raw stream that some servers send in its place."""

    def __init__(self) -> None:
        self._decoder: Any = None

    def __call__(self, chunk: bytes) -> bytes:
        """What a chunk completes."""
        if self._decoder is None and chunk:
            is_zlib = chunk[0] & 15 == _ZLIB_MAGIC
            self._decoder = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        return bytes(self._decoder.decompress(chunk)) if self._decoder else b""


def decoder_of(header: bytes) -> Decode | None:
    """What undoes a `content-encoding`, or None where nothing needs undoing.

    Raises:
        LookupError: an encoding is not known, or nothing installed decodes it; its text is the encoding.

    >>> import gzip
    >>> decoder_of(b"gzip")(gzip.compress(b"a") + gzip.compress(b"b"))
    b'ab'
    """
    named = [part.strip().lower() for part in header.decode("latin-1").split(",")]
    decoders = [_decoder(name) for name in reversed(named) if name not in _IDENTITY]  # the last was applied last
    if len(decoders) < 2:  # noqa: PLR2004  nothing to chain
        return decoders[0] if decoders else None

    def chain(chunk: bytes) -> bytes:
        for decode in decoders:
            chunk = decode(chunk)
        return chunk

    return chain


def reading(header: bytes) -> Decode | None:
    """As `decoder_of`; what cannot be decoded is counted once, and read as nothing."""
    try:
        return decoder_of(header)
    except LookupError as error:
        losses.add(f"unread_encoding:{error.args[0]}")
        return _nothing


def broken(header: bytes) -> Decode:
    """Count that a body is not in the encoding its header names; nothing more of it is read."""
    losses.add(f"broken_encoding:{header[:16].decode('latin-1')}")
    return _nothing


def _nothing(_chunk: bytes) -> bytes:
    return b""


def _decoder(name: str) -> Decode:
    if name in ("gzip", "x-gzip"):
        return Members(lambda: zlib.decompressobj(16 + zlib.MAX_WBITS))
    if name == "deflate":
        return Deflate()
    if name == "br":
        decoder = _first_of(_BROTLI_MODULES, name).Decompressor()
        return getattr(decoder, "process", None) or decoder.decompress  # type: ignore[no-any-return]
    if name == "zstd":
        return Members(_new_zstd)
    raise LookupError(name[:16])


def _new_zstd() -> Any:
    found = _first_of(_ZSTD_MODULES, "zstd")
    return found.ZstdDecompressor().decompressobj() if found.__name__ == "zstandard" else found.ZstdDecompressor()


def _first_of(modules: tuple[str, ...], encoding: str) -> Any:
    found = _installed(modules)
    if found is None:
        raise LookupError(encoding)
    return found


@cache
def _installed(modules: tuple[str, ...]) -> ModuleType | None:
    for name in modules:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
