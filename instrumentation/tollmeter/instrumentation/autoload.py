"""Instrument apps as they are created, for services whose code is left alone (`tollmeter run`)."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from tollmeter.instrumentation.guard import guarded
from tollmeter.instrumentation.install import instrument
from tollmeter.instrumentation.middleware import SCOPE_KEY
from tollmeter.instrumentation.tap.import_hook import after_import


def instrument_new_apps() -> None:
    """Instrument every Starlette and FastAPI app at its first connection, when its title and middleware are set."""
    after_import("starlette.applications", _patch_starlette)
    after_import("fastapi.applications", _patch_fastapi)


def _patch_starlette(module: ModuleType) -> None:
    _instrument_on_first_call(module.Starlette)


def _patch_fastapi(module: ModuleType) -> None:
    _instrument_on_first_call(module.FastAPI)


def _instrument_on_first_call(owner: type[Any]) -> None:
    original = owner.__call__

    @functools.wraps(original)
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        # A mounted app is served inside a request that is already recorded.
        if SCOPE_KEY not in scope and not getattr(self, "_tollmeter_seen", False):
            self._tollmeter_seen = True
            _instrument(self)
            await type(self).__call__(self, scope, receive, send)
        else:
            await original(self, scope, receive, send)

    owner.__call__ = call


@guarded(default=None)
def _instrument(app: Any) -> None:
    instrument(app)
