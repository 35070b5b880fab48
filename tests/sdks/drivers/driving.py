"""Runs one SDK over its rows inside its own environment, first bare and then tapped, and writes down what came back.

`python -m sdks.drivers.driving openai_sdk SHARED OUT EVERY` writes one JSON line for each call to OUT: what the SDK
returned or raised, how many attempts the provider saw, and the events of the tap. The same clients serve both passes,
so the tap also meets clients that were built before it.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import ipaddress
import json
import random
import sys
import warnings
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TextIO

from recorded import PROVIDERS, SELDOM_SEEN, Row, recorded_rows
from sdks.drivers.replay import SEED, Answer, Provider, providers, settings_of

from tollmeter.instrumentation import instrument, llm_call
from tollmeter.instrumentation.writer import MemoryWriter

_TRIES: Final = 10
_LEAST: Final = 2


_kept: list[Any] = []


class Case(NamedTuple):
    """One call: how it is made, which row answers it, and what is answered before the row is."""

    variant: str
    row: Row
    call: Callable[[], Any]
    """Returns plain data, or an awaitable of it."""
    first: tuple[Answer, ...] = ()


class Driver(Protocol):
    """What a module of this folder holds for its SDK; it is made with the running providers."""

    def __init__(self, servers: dict[str, Provider], shared: Path) -> None:
        """Build the clients."""

    def reason(self, row: Row) -> str:
        """Why the SDK has no call for a row; empty where it has."""
        ...

    def cases(self, row: Row) -> Iterable[Case]:
        """The calls that a row answers."""
        ...

    def scenes(self, rows: list[Row]) -> Iterable[Case]:
        """Calls that one row alone does not answer: retries, other transports."""
        ...


def plain(value: Any) -> Any:
    """What an SDK returned, as JSON data; the object itself is kept, to be recorded by hand as well."""
    _kept.append(value)
    return _plain(value)


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", warnings=False)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def outcome(error: BaseException) -> dict[str, Any]:
    """What an SDK raised, as JSON data."""
    text = str(error).partition("Traceback")[0]  # litellm puts one, and its own timings, into the text
    return {"raised": type(error).__name__, "text": text, "status": getattr(error, "status_code", None)}


def arguments_for(method: Callable[..., Any], body: dict[str, Any]) -> dict[str, Any]:
    """A recorded request as arguments; what the method does not know goes in as `extra_body`."""
    known = inspect.signature(method).parameters
    extra = {name: value for name, value in body.items() if name not in known}
    return {name: value for name, value in body.items() if name in known} | ({"extra_body": extra} if extra else {})


def sampled(rows: list[Row], every: int) -> list[Row]:
    """Two rows of each kind, and of the rest every so manieth, as the seed shuffles them."""
    kinds: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in random.Random(SEED).sample(rows, len(rows)):
        kinds[row["provider"], row["endpoint"], row["stream"], row["status"]].append(row)
    kept = {row["id"] for kind in kinds.values() for at, row in enumerate(kind) if at < _LEAST or at % every == 0}
    return [row for row in rows if row["id"] in kept]


def _refuse_beyond_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise OSError(f"a driver tried to reach {host}")


async def _returned(case: Case) -> dict[str, Any]:
    try:
        value = case.call()
        return {"returned": (await value) if isinstance(value, Awaitable) else value}
    except Exception as error:  # noqa: BLE001  whatever the SDK raises is what is compared
        return outcome(error)


class _Run:
    def __init__(self, module: str, shared: Path, out: TextIO, every: int) -> None:
        self.servers = providers(PROVIDERS)
        self.rows = sampled(recorded_rows(shared), every)
        self.driver: Driver = importlib.import_module(f"sdks.drivers.{module}").Driver(self.servers, shared)
        self.writer = MemoryWriter()
        self.out = out

    async def all(self) -> None:
        await self._pass(tapped=False)
        instrument(writer=self.writer, **settings_of(self.servers))
        await self._pass(tapped=True)

    async def _pass(self, *, tapped: bool) -> None:
        for row in self.rows:
            reason = self.driver.reason(row)
            for case in () if reason else self.driver.cases(row):
                await self._one(case, tapped=tapped)
            if reason and not tapped:
                self._write({"row": row["id"], "reason": reason})
        for case in self.driver.scenes(self.rows):
            await self._one(case, tapped=tapped)

    async def _one(self, case: Case, *, tapped: bool) -> None:
        server = self.servers[case.row["provider"]]
        server.load(case.row, list(case.first))
        self.writer.lines.clear()
        _kept.clear()
        came = await _returned(case)
        if tapped:
            await self._settle(case.row, server)
        facts = {"row": case.row["id"], "variant": case.variant, "tapped": tapped, "attempts": server.attempts}
        facts |= {"events": [line.decode() for line in self.writer.lines]}
        self._write(facts | came | {"recorded": self._recorded(case.row) if tapped and "returned" in came else None})

    def _recorded(self, row: Row) -> str:
        """The event of the same call where the application hands what it was given to `llm_call`."""
        self.writer.lines.clear()
        with llm_call(provider=PROVIDERS[row["provider"]], model="by hand") as call:
            for each in _kept:
                call.record(each)
        return self.writer.lines[-1].decode()

    async def _settle(self, row: Row, server: Provider) -> None:
        """A stream that the SDK neither reads to its end nor closes is over when it is garbage."""
        for _ in range(0 if row["endpoint"].startswith(SELDOM_SEEN) else _TRIES):
            if len(self.writer.lines) >= server.attempts:
                return
            gc.collect()
            await asyncio.sleep(0.01)

    def _write(self, document: dict[str, Any]) -> None:
        self.out.write(json.dumps(document) + "\n")


def main(module: str, shared: str, out: str, every: str) -> None:
    """Run one driver over every so manieth row of a kind."""
    sys.addaudithook(_refuse_beyond_loopback)
    warnings.simplefilter("ignore")
    with Path(out).open("w") as lines:
        asyncio.run(_Run(module, Path(shared), lines, int(every)).all())


if __name__ == "__main__":
    from sdks.drivers import driving  # the drivers import it by this name: run as a script it would be there twice

    driving.main(*sys.argv[1:])
