"""What an object holds, however it is packed: compression by its bytes, envelopes of Logs, objects in a row."""

from __future__ import annotations

import gzip
import json
from io import BytesIO
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tollmeter.etl.sources.sqs import keys_of
from tollmeter.etl.unpack import UnreadableError, unpacked

EVENTS = [b'{"kind":"llm_call","n":%d,"text":"\xc3\xa9 }{ {\\"kind\\":"}' % n for n in range(40)]
LINES = b"".join(event + b"\n" for event in EVENTS)


def lines(stored: bytes, size: int = 1 << 16) -> list[bytes]:
    return b"".join(unpacked(BytesIO(stored), size)).splitlines()


def envelope(*messages: str, kind: str = "DATA_MESSAGE") -> bytes:
    events = [{"id": "1", "timestamp": 1, "message": message} for message in messages]
    return json.dumps({"messageType": kind, "owner": "1", "logGroup": "g", "logEvents": events}).encode()


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 16])
@pytest.mark.parametrize("joint", [b"\n", b""])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_events_in_a_row_are_lines_whatever_packs_them(pack: Any, joint: bytes, size: int) -> None:
    assert lines(pack(joint.join(EVENTS)), size) == EVENTS


@given(st.binary(max_size=300), st.integers(1, 64))
def test_what_is_neither_packed_nor_in_a_row_is_as_it_is(content: bytes, size: int) -> None:
    expected = content.replace(b'}{"kind":', b'}\n{"kind":')
    if not content.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")) and b'"messageType"' not in content:
        assert b"".join(unpacked(BytesIO(content), size)) == expected


@pytest.mark.parametrize("size", [3, 50, 1 << 16])
@pytest.mark.parametrize("joint", [b"", b"\n"])
def test_envelopes_of_a_subscription(joint: bytes, size: int) -> None:
    own = [event.decode() for event in EVENTS]
    stored = joint.join(
        gzip.compress(each)
        for each in (
            envelope("CWL CONTROL MESSAGE: Checking health of destination Firehose.", kind="CONTROL_MESSAGE"),
            envelope("START RequestId: 1 Version: $LATEST\n", own[0] + "\n", own[1]),
            envelope(*own[2:]),
        )
    ) if not joint else gzip.compress(joint.join((envelope(*own[:2]), envelope(*own[2:]))))  # fmt: skip
    assert lines(stored, max(size, 16)) == EVENTS


def test_what_is_no_envelope_after_all_is_a_line_that_will_be_quarantined() -> None:
    torn = envelope(EVENTS[0].decode()) + envelope(EVENTS[1].decode())[:-5]
    found = lines(torn)
    assert found[0] == EVENTS[0]
    assert found[1:] == [torn[len(envelope(EVENTS[0].decode())) :]]
    assert lines(b'{"messageType": "OTHER", "kind": "x"}') == [b'{"messageType": "OTHER", "kind": "x"}']


def test_a_torn_stream_says_so_after_what_can_be_read() -> None:
    packed = zstandard.compress(LINES * 2000)
    found = list[bytes]()
    with pytest.raises(UnreadableError, match="zstd"):
        found.extend(unpacked(BytesIO(packed[: len(packed) // 2]), 1 << 14))
    assert (LINES * 2000).startswith(b"".join(found))


NATIVE = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "raw/dt%3D1/a+b%C3%A9"}}}
BRIDGE = {"detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": {"key": "raw/dt=1/a b"}}}


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        ({"Records": [NATIVE]}, {"s3://b/raw/dt=1/a bé"}),
        ({"Records": [NATIVE | {"eventName": "ObjectRemoved:Delete"}]}, set()),
        (BRIDGE, {"s3://b/raw/dt=1/a b"}),
        (BRIDGE | {"detail-type": "Object Deleted"}, set()),
        ({"Type": "Notification", "Message": json.dumps({"Records": [NATIVE]})}, {"s3://b/raw/dt=1/a bé"}),
        ({"Type": "Notification", "Message": json.dumps(BRIDGE)}, {"s3://b/raw/dt=1/a b"}),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}, set()),
        ({"something": "else"}, None),
        ([], None),
        ("text", None),
    ],
)
def test_objects_that_a_message_tells_of(body: Any, keys: set[str] | None) -> None:
    assert keys_of(json.dumps(body)) == keys


def test_a_message_that_is_no_json() -> None:
    assert keys_of("no json") is None
