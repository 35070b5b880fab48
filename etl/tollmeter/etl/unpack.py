"""What a raw object holds, as lines: compression told by its first bytes, envelopes opened, objects in a row separated.

CloudWatch Logs subscriptions: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
Firehose joins records as they come: https://docs.aws.amazon.com/firehose/latest/dev/basic-deliver.html
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from itertools import chain
from typing import IO, Any, Final

_MAGIC: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_HEAD: Final = 256
_ENVELOPE: Final = b'"messageType"'
_CONTROL: Final = "CONTROL_MESSAGE"
_DATA: Final = "DATA_MESSAGE"
JOINT: Final = b'}{"kind":'
"""Where one event ends and the next begins without a newline; in valid JSON these bytes stand nowhere."""

_PARTED: Final = b'}\n{"kind":'
_MAX_ENVELOPE: Final = 32 << 20  # a record of Logs is 256 KiB of gzip at most, Firehose takes 1 MB

_decoder: Final = json.JSONDecoder()


class UnreadableError(Exception):
    """The compressed stream is torn or damaged."""


def unpacked(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The lines of an object, in chunks of about `size` bytes that may end anywhere; never an empty chunk.

    Plain, gzip (also several members in a row) and zstd are told apart by the first bytes, whatever the name says. A
    line that holds envelopes of CloudWatch Logs becomes the messages that they hold, a line each, without control
    messages and what is no JSON object; one that holds several events without a newline between them becomes as many.

    Raises:
        UnreadableError: the stream cannot be decompressed further; what could be has been yielded.
    """
    chunks = decompressed(file, size)
    first = next(chunks, b"")
    if _ENVELOPE in first[:_HEAD]:
        for messages in _opened(chain((first,), chunks)):
            yield from (messages[start : start + size] for start in range(0, len(messages), size))
    elif first:
        yield from _separated(chain((first,), chunks))


def is_lines(file: IO[bytes]) -> bool:
    """Whether a file is neither compressed nor begins with an envelope; it is left at its start."""
    head = b"" if codec_of(file) else file.read(_HEAD)
    file.seek(0)
    return bool(head) and _ENVELOPE not in head


def codec_of(file: IO[bytes]) -> str:
    """How a file is compressed, by its first bytes: gzip, zstd, or empty for not at all; it is left at its start."""
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


def decompressed(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The bytes of a file in chunks of about `size`, decompressed where they are compressed.

    Raises:
        UnreadableError: the stream cannot be decompressed further; what could be has been yielded.
    """
    import pyarrow as pa

    codec = codec_of(file)
    source: Any = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), codec) if codec else file
    while True:
        try:
            chunk = bytes(source.read(size))
        except (OSError, pa.ArrowException) as error:
            raise UnreadableError(f"{codec}: {error}" if codec else str(error)) from error
        if not chunk:
            return
        yield chunk


def _separated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """A newline between objects that stand in a row; in valid JSON these bytes stand nowhere else."""
    held = b""
    for chunk in chunks:
        done = (held + chunk).replace(JOINT, _PARTED)
        kept = next((n for n in range(len(JOINT) - 1, 0, -1) if done.endswith(JOINT[:n])), 0)
        held = done[len(done) - kept :]
        if len(done) > kept:
            yield done[: len(done) - kept]
    if held:
        yield held


def _opened(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The messages of envelopes that stand in a row, with or without white space between them.

    What is no envelope is passed on as a line, so that it is quarantined.
    """
    utf8 = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text = ""
    for chunk in chunks:
        text, messages = _drained(text + utf8.decode(chunk))
        if messages:
            yield messages
        if len(text) > _MAX_ENVELOPE:
            raise UnreadableError(f"an envelope of CloudWatch Logs is longer than {_MAX_ENVELOPE} bytes")
    if rest := text.strip():
        yield rest.encode("utf-8", "surrogateescape") + b"\n"


def _drained(text: str) -> tuple[str, bytes]:
    """What is left behind the last whole envelope, and the messages of all before it as lines."""
    lines = list[str]()
    while text := text.lstrip():
        try:
            envelope, end = _decoder.raw_decode(text)
        except ValueError:
            break
        lines += _messages(envelope, text[:end])
        text = text[end:]
    return text, "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _messages(envelope: Any, spelled: str) -> Iterator[str]:
    kind = envelope.get("messageType") if isinstance(envelope, dict) else None
    if kind == _CONTROL:
        return
    events = envelope.get("logEvents") if kind == _DATA else None
    if not isinstance(events, list):
        yield spelled.replace("\n", " ")
        return
    for event in events:
        message = event.get("message") if isinstance(event, dict) else None
        line = str(message).strip()
        if line.startswith("{"):  # what the platform and other loggers write is no event of ours
            yield line.replace("\n", " ")
