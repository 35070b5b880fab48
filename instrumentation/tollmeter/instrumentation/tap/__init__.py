"""The wire tap: one small hook under each HTTP client, so that every call is seen as the provider sent it."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Final

from tollmeter.instrumentation.active import active_recorder
from tollmeter.instrumentation.tap.import_hook import after_import

if TYPE_CHECKING:
    from types import ModuleType

_CLIENTS: Final = {
    "httpx": "httpx_family",
    "httpx2": "httpx_family",
    "aiohttp": "aiohttp_client",
    "botocore.httpsession": "botocore_client",
    "requests": "requests_client",
}
"""Modules of HTTP clients, and ours that hook them: imported, with all that reads and prices a call, once they are."""

TAPPED: Final = tuple(name.partition(".")[0] for name in _CLIENTS)
"""The HTTP clients whose model calls are seen, by import name."""


def install_taps() -> None:
    """Hook the HTTP clients that are, or will be, imported; calling it again changes nothing."""
    for client, ours in _CLIENTS.items():
        after_import(client, functools.partial(_hook, ours))


def _hook(ours: str, client: ModuleType) -> None:
    import_module(f"{__name__}.{ours}").hook(client)
    recorder = active_recorder()
    if recorder is not None:
        _ = recorder.book  # read before the first call, not in it
