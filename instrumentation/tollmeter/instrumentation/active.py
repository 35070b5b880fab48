"""The recorder in force: of the current request, else the process's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollmeter.instrumentation.context import _current

if TYPE_CHECKING:
    from tollmeter.instrumentation.recorder import Recorder

_default: list[Recorder] = []


def use_recorder(recorder: Recorder) -> None:
    """Record calls outside of any request with this one; the first wins."""
    if not _default:
        _default.append(recorder)


def active_recorder() -> Recorder | None:
    """The recorder of the current request, else the process's."""
    context = _current.get()
    return context.recorder if context else (_default[0] if _default else None)
