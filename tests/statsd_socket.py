"""A DogStatsD server on loopback, UDP or Unix socket, that takes only what the protocol allows.

https://docs.datadoghq.com/extend/dogstatsd/datagram_shell/
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final

MAX_DATAGRAM: Final = 8192
_LINE: Final = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9_.]{0,199}):(?P<values>[^|#\n]+)\|(?P<type>c|g|d|h|ms|s)"
    r"(?:\|#(?P<tags>[^|\n]+))?(?:\|c:[^|\n]+)?(?:\|T(?P<time>\d+))?"
)
_TAG: Final = re.compile(r"[^\W\d][\w\-:./]{0,199}")


@dataclass(frozen=True)
class Sample:
    """One line of a datagram."""

    name: str
    kind: str
    values: tuple[float, ...]
    tags: dict[str, str]
    time: int | None


def parsed(datagram: bytes) -> list[Sample]:
    """The lines of a datagram; raises where one is not of the protocol."""
    assert len(datagram) <= MAX_DATAGRAM, len(datagram)
    return [_sample(line) for line in datagram.decode().removesuffix("\n").split("\n")]


def _sample(line: str) -> Sample:
    found = _LINE.fullmatch(line)
    assert found, line
    values = tuple(float(text) for text in found["values"].split(":"))
    assert all(map(isfinite, values)), line
    assert len(values) == 1 or found["type"] in "dh", line
    assert found["time"] is None or found["type"] in "cg", line
    tags = found["tags"].split(",") if found["tags"] else []
    assert all(_TAG.fullmatch(tag) for tag in tags), line
    named = {tag.partition(":")[0]: tag.partition(":")[2] for tag in tags}
    assert len(named) == len(tags), line
    return Sample(found["name"], found["type"], values, named, int(found["time"]) if found["time"] else None)


class StatsdSocket:
    """What came; `address` is what a client is told."""

    def __init__(self, opened: socket.socket, address: str) -> None:
        self.address = address
        self._socket = opened

    def samples(self) -> list[Sample]:
        """What has come since the last time."""
        found: list[Sample] = []
        self._socket.settimeout(0.1)
        try:
            while True:
                found += parsed(self._socket.recv(65536))
        except TimeoutError:
            return found


@contextmanager
def udp_socket() -> Iterator[StatsdSocket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        opened.bind(("127.0.0.1", 0))
        yield StatsdSocket(opened, f"udp://127.0.0.1:{opened.getsockname()[1]}")


@contextmanager
def unix_socket(folder: Path) -> Iterator[StatsdSocket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(folder / "dsd.socket"))
        yield StatsdSocket(opened, f"unix://{folder / 'dsd.socket'}")
