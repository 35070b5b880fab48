"""Multipart requests, as audio and image edits are sent: the few fields that say something of the call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tollmeter.pricing.shapes.fields import encoded

FORM_TYPE: Final = b"multipart/form-data"
_FIELD: Final = re.compile(
    rb'Content-Disposition: form-data; name="(model|stream)"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]{0,256})\r\n'
)
_TRUE: Final = ("true", "True", "1")


def form_as_json(fields: Iterable[tuple[Any, Any]]) -> bytes:
    """The fields of a form that a JSON request would have too, as one.

    >>> form_as_json([("model", "whisper-1"), ("file", None), ("stream", "true")])
    b'{"model":"whisper-1","stream":true}'
    """
    found = {name: _text(value) for name, value in fields if name in ("model", "stream")}
    told: dict[str, Any] = {"model": found["model"]} if "model" in found else {}
    if "stream" in found:
        told["stream"] = found["stream"] in _TRUE
    return encoded(told)


def fields_of(body: bytes) -> Iterator[tuple[str, str]]:
    """The same fields in a form that has been written out; what lies in files is passed over at memory speed."""
    return ((name.decode(), value.decode("utf-8", "replace")) for name, value in _FIELD.findall(body))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
