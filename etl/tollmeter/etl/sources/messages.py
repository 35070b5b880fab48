"""Raw objects that messages tell of which somebody else has received, such as the poller of a Lambda function.

Nothing is deleted or kept invisible here: whoever received them is told which of them failed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from tollmeter.etl.discover import RawObject
from tollmeter.etl.ledger import Ledger, Listing
from tollmeter.etl.sources.s3 import object_of
from tollmeter.etl.sources.sqs import keys_of
from tollmeter.model.events import utc_now

if TYPE_CHECKING:
    from tollmeter.model.home import LakePlace


class MessagesSource:
    """Messages by their id, each a notification of S3; `failed` are those whose objects are not all in the ledger."""

    name = "messages"
    whole_hours = False

    def __init__(self, place: LakePlace, bodies: Mapping[str, str]) -> None:
        self._place, self._found = place, False
        self._held = {name: keys_of(body) for name, body in bodies.items()}

    @property
    def failed(self) -> list[str]:
        """Ids of messages that must come again: unreadable, their object is missing, or it has not landed."""
        return [name for name, keys in self._held.items() if keys is None or keys]

    def find(self, ledger: Ledger) -> Listing:
        """The objects of all messages, once."""
        del ledger
        at, waiting = utc_now(), {key for keys in self._held.values() for key in keys or ()}
        looked = (object_of(self._place, key) for key in sorted(waiting) if not self._found)
        objects: list[RawObject] = [found for found in looked if found]
        self._found = True
        return Listing(objects, at)

    def acknowledge(self, keys: Collection[str]) -> None:
        """These objects are in the ledger."""
        for waiting in self._held.values():
            if waiting:
                waiting.difference_update(keys)

    def close(self) -> None:
        """Nothing to do."""
