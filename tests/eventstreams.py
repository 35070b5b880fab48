"""AWS event streams for tests: the frames of events, written from the specification."""

from __future__ import annotations

import base64
import json
from binascii import crc32
from typing import Any


def frame(payload: bytes, **headers: str) -> bytes:
    """One frame; a header `event_type` is sent as `:event-type`."""
    packed = b"".join(
        bytes([len(name) + 1])
        + f":{name.replace('_', '-')}".encode()
        + b"\x07"
        + len(value).to_bytes(2)
        + value.encode()
        for name, value in headers.items()
    )
    prelude = (16 + len(packed) + len(payload)).to_bytes(4) + len(packed).to_bytes(4)
    message = prelude + crc32(prelude).to_bytes(4) + packed + payload
    return message + crc32(message).to_bytes(4)


def converse_event(document: Any, kind: str = "metadata") -> bytes:
    """One event of ConverseStream."""
    return frame(json.dumps(document).encode(), event_type=kind, message_type="event")


def invoke_event(document: Any) -> bytes:
    """One event of InvokeModelWithResponseStream, the document in base64 as Bedrock sends it."""
    payload = {"bytes": base64.b64encode(json.dumps(document).encode()).decode(), "p": "abcdef"}
    return frame(json.dumps(payload).encode(), event_type="chunk", message_type="event")
