"""X-Ray by `PutTraceSegments`, which needs nothing to be switched on.

https://docs.aws.amazon.com/xray/latest/api/API_PutTraceSegments.html
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tollmeter.exporters.aws import client, error_code
from tollmeter.exporters.derive.segments import documents
from tollmeter.exporters.sinks.base import INVALID
from tollmeter.exporters.sinks.traced import Shipment, TraceSink

if TYPE_CHECKING:
    from tollmeter.exporters.derive.segment_packing import Document
    from tollmeter.exporters.derive.traces import Trace
    from tollmeter.model.settings import Settings

logger: Final = logging.getLogger("tollmeter")
MAX_DOCUMENTS: Final = 50
"""Documents of one call: more are refused, though no page says so."""

_MAX_BYTES: Final = 1 << 20
_INVALID_REQUEST: Final = "InvalidRequestException"
_THROTTLED: Final = re.compile(r"throttl|limitexceeded", re.IGNORECASE)
_FAULT: Final = re.compile(r"internal|unavailable|timeout", re.IGNORECASE)
_MAX_FAULTS: Final = 8
"""Times that a fault of X-Ray's own may spoil one trace, before it is taken for the trace's: some four minutes."""
_NO_REASON: Final = re.compile(r"[^A-Za-z0-9_]")
_MAX_TOLD: Final = 32
_ON_ECS: Final = "ECS_CONTAINER_METADATA_URI_V4"
_ECS: Final = "AWS::ECS::Container"


@dataclass(slots=True)
class _Pending:
    """A trace under way: documents still to be put, with their lines; lines refused for good; why to try again."""

    trace: Trace
    waiting: dict[str, int]
    drops: Counter[str] = field(default_factory=Counter)
    passing: str = ""

    def take(self, document: Document, code: str) -> None:
        """Note what X-Ray said of a document; a code that will pass leaves it to be put again."""
        if code and (_THROTTLED.search(code) or _FAULT.search(code)):
            self.passing = code
            return
        self.waiting.pop(document.segment_id, None)
        if code:
            self.drop(code, document.lines)

    def drop(self, code: str, lines: int) -> None:
        """Count what will never arrive."""
        self.drops[_NO_REASON.sub("_", code)[:64]] += lines


class XRaySegments(TraceSink):
    """Puts traces as segment documents.

    A trace that did not arrive whole for sure is put again: its documents keep their ids, a document replaces the one
    of its id, and X-Ray charges by the trace, so that a second time changes neither what is seen nor what is paid.

    Raises:
        MissingExtraError: boto3 is not installed.
    """

    name = "xray"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._client = client("xray", settings)
        self._origin = origin_of(os.environ)
        self._faults: Counter[str] = Counter()
        self._told: set[str] = set()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def ship(self, traces: Sequence[Trace]) -> Shipment:
        """Put the traces, 50 documents to a call; stops at the first call that fails, what is not settled is left."""
        shipment = Shipment()
        pending: list[_Pending] = []
        queue: list[tuple[Document, _Pending]] = []
        for trace in traces:
            made = documents(trace, self._origin)
            if not made:
                shipment.drops[INVALID] += trace.lines
                continue
            pending.append(_Pending(trace, {document.segment_id: document.lines for document in made}))
            queue += [(document, pending[-1]) for document in made]
        try:
            for batch in _batches(queue):
                self._put(batch)
        except Exception as error:  # noqa: BLE001  told in the shipment: what was settled before it stays settled
            shipment.error = f"{type(error).__name__}: {error}"
        else:
            self._give_up(pending)
        for each in pending:
            _settle(each, shipment)
        return shipment

    def _put(self, batch: Sequence[tuple[Document, _Pending]]) -> None:
        try:
            answer = self._client.put_trace_segments(TraceSegmentDocuments=[document.text for document, _ in batch])
        except Exception as error:
            if error_code(error) != _INVALID_REQUEST:
                raise
            self._put_halves(batch, _INVALID_REQUEST)
            return
        refused = self._refused(answer)
        if not refused.keys() <= {document.segment_id for document, _ in batch}:
            self._put_halves(batch, next(iter(refused.values())))  # of a document that is not named
            return
        for document, pending in batch:
            pending.take(document, refused.get(document.segment_id, ""))

    def _put_halves(self, batch: Sequence[tuple[Document, _Pending]], code: str) -> None:
        """One document spoils the call: the others go without it."""
        if len(batch) == 1:
            document, pending = batch[0]
            pending.take(document, code)
            return
        middle = len(batch) // 2
        self._put(batch[:middle])
        self._put(batch[middle:])

    def _refused(self, answer: Mapping[str, Any]) -> dict[str | None, str]:
        """Codes by document; the first message of each code is logged, for it says what a count cannot."""
        refused: dict[str | None, str] = {}
        for told in answer.get("UnprocessedTraceSegments") or ():
            code = refused[told.get("Id")] = str(told.get("ErrorCode") or "unknown")
            if code not in self._told and len(self._told) < _MAX_TOLD:
                self._told.add(code)
                logger.warning("tollmeter: X-Ray refused %s: %s: %s", told.get("Id"), code, told.get("Message"))
        return refused

    def _give_up(self, pending: Iterable[_Pending]) -> None:
        """A trace that meets a fault each time would hold back those behind it for ever."""
        before, self._faults = self._faults, Counter()
        for each in pending:
            if not (each.waiting and _FAULT.search(each.passing)):
                continue
            key = each.trace.calls[0].event_id if each.trace.request is None else each.trace.request.event_id
            self._faults[key] = before[key] + 1
            if self._faults[key] >= _MAX_FAULTS:
                each.drop(each.passing, sum(each.waiting.values()))
                each.waiting.clear()


def origin_of(environ: Mapping[str, str]) -> str:
    """The AWS resource the forwarder runs on, and the service beside it; empty where it is not known.

    >>> origin_of({"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x"})
    'AWS::ECS::Container'
    """
    return _ECS if environ.get(_ON_ECS) else ""


def _settle(pending: _Pending, shipment: Shipment) -> None:
    if pending.waiting:
        shipment.left.append(pending.trace)
        shipment.error = shipment.error or f"X-Ray did not take all documents: {pending.passing}"
        return
    shipment.drops += pending.drops
    shipment.acknowledged += pending.trace.lines - pending.drops.total()


def _batches(queue: Sequence[tuple[Document, _Pending]]) -> Iterator[Sequence[tuple[Document, Any]]]:
    start = size = 0
    for index, (document, _) in enumerate(queue):
        more = len(document.text.encode())
        if index > start and (index - start == MAX_DOCUMENTS or size + more > _MAX_BYTES):
            yield queue[start:index]
            start, size = index, 0
        size += more
    if start < len(queue):
        yield queue[start:]
