"""Raw objects that S3 tells an SQS queue of: its own notifications, those of EventBridge, either through SNS.

A message is deleted once its objects are in the ledger, kept invisible until then, and left to the queue's redrive
policy where it cannot be read or names an object that is not there: it ends in the dead-letter queue.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from tollmeter.etl.discover import RawObject, Span
from tollmeter.etl.ledger import Ledger, Listing
from tollmeter.etl.sources.s3 import object_of
from tollmeter.model.events import utc_now
from tollmeter.sql.aws import client

if TYPE_CHECKING:
    from tollmeter.model.home import LakePlace

VISIBILITY_S: Final = 300
_MOST_AT_ONCE: Final = 10  # what SQS takes and gives in one call
_MOST_MESSAGES: Final = 2000
_WAIT_S: Final = 1


@dataclass(slots=True)
class _Message:
    receipt: str
    keys: set[str] = field(default_factory=set)


class QueueSource:
    """A queue of notifications; each `find` receives some, until there are none."""

    whole_hours = False

    def __init__(self, place: LakePlace, url: str, span: Span) -> None:
        self.name, self._place, self._span = url, place, span
        self._client = client("sqs", place)
        self._held: list[_Message] = []
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="tollmeter-sqs-visibility", daemon=True)
        self._keeper.start()

    def find(self, ledger: Ledger) -> Listing:
        """The objects of the messages that are received, oldest upload first."""
        del ledger
        at, objects = utc_now(), dict[str, RawObject]()
        for message in self._received():
            found = [each for key in message.keys if (each := object_of(self._place, key))]
            if len(found) < len(message.keys):
                continue  # an object is not there: the message comes again, and ends in the dead-letter queue
            objects |= {each.key: each for each in found if self._span.holds(each.key)}
            with self._lock:
                self._held.append(message)
        return Listing(sorted(objects.values(), key=lambda each: each.key), at)

    def acknowledge(self, keys: Collection[str]) -> None:
        """Delete the messages all of whose objects are in the ledger."""
        with self._lock:
            for message in self._held:
                message.keys.difference_update(keys)
            done = [message for message in self._held if not message.keys]
            self._held = [message for message in self._held if message.keys]
        self._delete(done)

    def close(self) -> None:
        """Make visible again what was not acknowledged."""
        self._stopped.set()
        self._keeper.join()
        for message in self._held:
            self._client.change_message_visibility(
                QueueUrl=self.name, ReceiptHandle=message.receipt, VisibilityTimeout=0
            )
        self._client.close()

    def _received(self) -> Iterator[_Message]:
        """Messages that name objects; one that names none, such as S3's test event, is deleted."""
        count = 0
        while count < _MOST_MESSAGES:
            answer = self._client.receive_message(
                QueueUrl=self.name,
                MaxNumberOfMessages=_MOST_AT_ONCE,
                VisibilityTimeout=VISIBILITY_S,
                WaitTimeSeconds=_WAIT_S,
            )
            messages = answer.get("Messages", ())
            if not messages:
                return
            count += len(messages)
            for found in messages:
                keys = keys_of(found["Body"])
                message = _Message(found["ReceiptHandle"], keys or set())
                if keys:
                    yield message
                elif keys is not None:
                    self._delete([message])

    def _delete(self, messages: list[_Message]) -> None:
        rest = iter(messages)
        while some := list(islice(rest, _MOST_AT_ONCE)):
            entries = [{"Id": str(n), "ReceiptHandle": each.receipt} for n, each in enumerate(some)]
            self._client.delete_message_batch(QueueUrl=self.name, Entries=entries)

    def _keep(self) -> None:
        while not self._stopped.wait(VISIBILITY_S / 3):
            with self._lock:
                held = list(self._held)
            for message in held:
                # One that cannot be kept comes again, and its objects are in the ledger by then.
                with suppress(Exception):
                    self._client.change_message_visibility(
                        QueueUrl=self.name, ReceiptHandle=message.receipt, VisibilityTimeout=VISIBILITY_S
                    )


def keys_of(body: str) -> set[str] | None:
    """The objects that a message tells of, as `s3://` addresses; None where it cannot be read.

    >>> keys_of('{"detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": {"key": "raw/a b"}}}')
    {'s3://b/raw/a b'}
    """
    try:
        return set(_keys(json.loads(body)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _keys(message: Any) -> Iterator[str]:
    if message.get("Type") == "Notification" and "Message" in message:  # from SNS
        yield from _keys(json.loads(message["Message"]))
    elif "detail-type" in message:
        if message["detail-type"] == "Object Created":
            # The key of EventBridge is as it is, that of S3's own notifications is encoded.
            yield _address(message["detail"]["bucket"]["name"], message["detail"]["object"]["key"])
    elif message.get("Event") != "s3:TestEvent":
        for record in message["Records"]:
            if record["eventName"].startswith(("ObjectCreated:", "s3:ObjectCreated:")):
                yield _address(record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"]))


def _address(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"
