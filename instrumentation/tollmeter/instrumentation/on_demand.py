"""Patches of clients that are made once something first needs them, so that calls that never do pass no more hands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final


class OnDemand:
    """Patches that wait until they are needed; from then on each is made at once."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []
        self._is_needed = False

    def add(self, patch: Callable[[], None]) -> None:
        """Make a patch, now or when it is needed."""
        if self._is_needed:
            patch()
        else:
            self._waiting.append(patch)

    def need(self) -> None:
        """Make those that wait."""
        self._is_needed = True
        while self._waiting:
            self._waiting.pop(0)()


asking: Final = OnDemand()
"""Asks streams for their usage: needed once an app has the setting `include_usage`."""
refusing: Final = OnDemand()
"""Refuses calls that are not sent yet: needed once a `spend_limit` is entered."""
