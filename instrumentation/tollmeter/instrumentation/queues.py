"""`consume`: each delivery of a message is a request of method QUEUE; `consume_batch` does so for a batch of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tollmeter.instrumentation.context import current_request
from tollmeter.instrumentation.guard import logger
from tollmeter.instrumentation.messages import read_delivery
from tollmeter.instrumentation.work import Work, WorkBlock, tagged
from tollmeter.model.names import METHOD_QUEUE

if TYPE_CHECKING:
    from tollmeter.instrumentation.recorder import Recorder

F = TypeVar("F", bound=Callable[..., Any])
_FIFO: Final = ".fifo"


class consume(WorkBlock):  # noqa: N801  reads as a statement: with consume(message):
    """Record the handling of one message as a request of method QUEUE: `with consume(message, queue=url):`.

    Takes a message of boto3's `receive_message` (ask it for `MessageAttributeNames=["All"]` and
    `MessageSystemAttributeNames=["All"]`), a record of a Lambda event, or an EventBridge event. The route is the name
    of the queue or topic, or the detail-type; the trace and attribution come from the message's attributes; a message
    that comes twice is two requests, told apart by the tag `attempt`. An exception that leaves it is the `error_type`.

    Also `async with`, and a decorator of functions, plain or coroutine, whose first argument is the message:
    `@consume(queue="jobs")`.
    """

    def __init__(self, message: object = None, *, queue: str = "") -> None:
        super().__init__()
        self._message = message
        self._queue = queue

    def _open(self, recorder: Recorder) -> Work:
        outer = current_request()
        delivery = read_delivery(self._message, self._queue)
        work = Work(recorder, method=METHOD_QUEUE, route=delivery.route, headers=delivery.headers)
        if outer is not None and outer.invocation is not None:
            outer.invocation.tell(work)
        return tagged(work, (outer.tags if outer else {}) | delivery.tags)

    def __call__(self, function: F) -> F:
        """The function, each call of which handles one message."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def handle_async(message: Any, *args: Any, **kwargs: Any) -> Any:
                async with consume(message, queue=self._queue):
                    return await function(message, *args, **kwargs)

            return handle_async  # type: ignore[return-value]  # the same signature

        @functools.wraps(function)
        def handle(message: Any, *args: Any, **kwargs: Any) -> Any:
            with consume(message, queue=self._queue):
                return function(message, *args, **kwargs)

        return handle  # type: ignore[return-value]  # the same signature


def consume_batch(
    batch: Mapping[str, Any] | Iterable[Any], handle: Callable[[Any], object], *, queue: str = ""
) -> dict[str, list[dict[str, str]]]:
    """Handle each record as a request of its own; returns those that failed, as Lambda's `ReportBatchItemFailures`.

    `batch` is a Lambda event with `Records`, or messages of boto3. An exception of `handle` is logged, is the record's
    `error_type`, and does not stop the others; in a FIFO queue it does, and all that follow are returned as failed.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    records = list(batch["Records"] if isinstance(batch, Mapping) else batch)
    failed: list[str] = []
    for record in records:
        if failed and _is_fifo(record, queue):
            failed.append(_id_of(record))
            continue
        try:
            with consume(record, queue=queue):
                handle(record)
        except Exception as error:  # noqa: BLE001  reported to the queue, which delivers it again
            logger.warning("message %s failed", _id_of(record), exc_info=error)
            failed.append(_id_of(record))
    return {"batchItemFailures": [{"itemIdentifier": found} for found in failed]}


def _id_of(record: Any) -> str:
    return str(record.get("messageId") or record.get("MessageId") or "")


def _is_fifo(record: Any, queue: str) -> bool:
    return (queue or str(record.get("eventSourceARN", ""))).rstrip("/").endswith(_FIFO)
