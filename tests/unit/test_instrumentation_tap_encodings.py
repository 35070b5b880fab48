"""Compressed bodies that a tap sees before their client decodes them: any encoding, any cut, any number of members."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import brotli
import httpx
import httpx2
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tap_server import STREAM
from tapping import call_of, recording

from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.tap import encodings
from tollmeter.instrumentation.tap.encodings import decoder_of

URL = "https://api.openai.com/v1/chat/completions"


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "gzip of two members": lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:]),
    "gzip with padding": lambda data: gzip.compress(data) + bytes(512),
    "deflate": zlib.compress,
    "deflate, raw": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "zstd of two frames": lambda data: zstandard.compress(data[:99]) + zstandard.compress(data[99:]),
    "gzip, br": lambda data: brotli.compress(gzip.compress(data)),
    "identity": bytes,
    "": bytes,
}


def header_of(name: str) -> str:
    return name.partition(" of ")[0].partition(" with ")[0].removesuffix(", raw")


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 10, 100_000])
@pytest.mark.parametrize("name", PACKERS)
def test_what_was_packed_is_read(name: str, size: int) -> None:
    decode = decoder_of(header_of(name).encode())
    pieces = cut(PACKERS[name](STREAM), size)
    assert b"".join(decode(piece) if decode else piece for piece in pieces) == STREAM


@pytest.mark.parametrize("module", ["zstandard", "backports.zstd", "compression.zstd"])
def test_any_library_for_zstd_will_do(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(module)
    monkeypatch.setattr(encodings, "_ZSTD_MODULES", (module,))
    decode = decoder_of(b"zstd")
    assert decode is not None
    packed = zstandard.compress(STREAM) + zstandard.compress(b"x")
    assert b"".join(map(decode, cut(packed, 7))) == STREAM + b"x"


class Body(httpx.SyncByteStream, httpx2.SyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces


def answer(body: bytes, encoding: str) -> Any:
    headers = {"content-type": "text/event-stream", "content-encoding": encoding}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, stream=Body(cut(body, 13))))
    return httpx2.Client(transport=transport)


@pytest.mark.parametrize("name", ["gzip", "gzip of two members", "deflate", "br", "zstd", "gzip, br"])
def test_a_packed_stream_through_the_tap(name: str) -> None:
    with (
        recording() as events,
        answer(PACKERS[name](STREAM), header_of(name)) as http,
        http.stream("POST", URL, json={"model": "gpt-4o", "stream": True}) as response,
    ):
        list(response.iter_raw())
    call = call_of(events)
    assert (call.status, call.output_tokens, call.losses) == ("ok", 50, {})


@pytest.mark.parametrize(
    ("body", "encoding", "loss"),
    [
        (STREAM, "compress", "unread_encoding:compress"),
        (STREAM, "gzip, dcb", "unread_encoding:dcb"),
        (STREAM, "gzip", "broken_encoding:gzip"),
        (gzip.compress(STREAM)[:100] + b"broken" * 50, "gzip", "broken_encoding:gzip"),
    ],
)
def test_what_cannot_be_read_is_counted_once_and_is_a_row(body: bytes, encoding: str, loss: str) -> None:
    with (
        recording(estimate_usage=False) as events,
        answer(body, encoding) as http,
        http.stream("POST", URL, json={"model": "gpt-4o", "stream": True}) as response,
    ):
        list(response.iter_raw())
    call = call_of(events)
    assert (call.status, call.usage_source, call.cost_usd, call.request_model) == ("ok", "missing", None, "gpt-4o")
    assert call.losses == {loss: 1}


def test_without_a_library_the_loss_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "_BROTLI_MODULES", ("no_such_module",))
    losses.take()
    decode = encodings.reading(b"br")
    assert decode is not None
    assert decode(brotli.compress(STREAM)) == b""
    assert losses.take() == {"unread_encoding:br": 1}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(PACKERS)), st.binary(max_size=2000), st.lists(st.integers(0, 3000), max_size=8))
def test_no_cut_changes_what_is_read(name: str, data: bytes, cuts: list[int]) -> None:
    packed = PACKERS[name](data)
    ends = sorted({0, len(packed), *(at for at in cuts if at < len(packed))})
    decode = decoder_of(header_of(name).encode())
    pieces = [packed[start:end] for start, end in pairwise(ends)]
    assert b"".join(decode(piece) if decode else piece for piece in pieces) == data
