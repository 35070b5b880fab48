"""X-Ray by `PutTraceSegments`, which needs nothing to be switched on.

https://docs.aws.amazon.com/xray/latest/api/API_PutTraceSegments.html
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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

MAX_DOCUMENTS: Final = 50
"""Documents of one call: more are refused, though no page says so."""

_MAX_BYTES: Final = 1 << 20
_INVALID_REQUEST: Final = "InvalidRequestException"
_PASSING: Final = re.compile(r"throttl|limit|internal|unavailable|timeout", re.IGNORECASE)
_NO_REASON: Final = re.compile(r"[^A-Za-z0-9_]")
_ON_ECS: Final = "ECS_CONTAINER_METADATA_URI_V4"
_ECS: Final = "AWS::ECS::Container"


@dataclass(slots=True)
class _Pending:
    """A trace under way: documents that are still to be put, those refused for good by reason, whether to try again."""

    trace: Trace
    waiting: set[str]
    drops: Counter[str] = field(default_factory=Counter)
    passing: str = ""


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
            pending.append(_Pending(trace, {document.segment_id for document in made}))
            queue += [(document, pending[-1]) for document in made]
        try:
            for batch in _batches(queue):
                self._put(batch)
        except Exception as error:  # noqa: BLE001  told in the shipment: what was settled before it stays settled
            shipment.error = f"{type(error).__name__}: {error}"
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
        refused = {told.get("Id"): str(told.get("ErrorCode")) for told in answer.get("UnprocessedTraceSegments") or ()}
        if not refused.keys() <= {document.segment_id for document, _ in batch}:
            self._put_halves(batch, next(iter(refused.values())))  # of a document that is not named
            return
        for document, pending in batch:
            _take(document, pending, refused.get(document.segment_id, ""))

    def _put_halves(self, batch: Sequence[tuple[Document, _Pending]], code: str) -> None:
        """One document spoils the call: the others go without it."""
        if len(batch) == 1:
            _take(*batch[0], code)
            return
        middle = len(batch) // 2
        self._put(batch[:middle])
        self._put(batch[middle:])


def origin_of(environ: Mapping[str, str]) -> str:
    """The AWS resource the forwarder runs on, and the service beside it; empty where it is not known.

    >>> origin_of({"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x"})
    'AWS::ECS::Container'
    """
    return _ECS if environ.get(_ON_ECS) else ""


def _batches(queue: Sequence[tuple[Document, _Pending]]) -> Iterator[Sequence[tuple[Document, Any]]]:
    start = size = 0
    for index, (document, _) in enumerate(queue):
        if index > start and (index - start == MAX_DOCUMENTS or size + len(document.text) > _MAX_BYTES):
            yield queue[start:index]
            start, size = index, 0
        size += len(document.text)
    if start < len(queue):
        yield queue[start:]


def _take(document: Document, pending: _Pending, code: str) -> None:
    """Note what X-Ray said of a document; a code that will pass leaves the trace to be put again."""
    if code and _PASSING.search(code):
        pending.passing = code
        return
    pending.waiting.discard(document.segment_id)
    if code:
        pending.drops[_NO_REASON.sub("_", code)[:64]] += document.lines


def _settle(pending: _Pending, shipment: Shipment) -> None:
    if pending.waiting:
        shipment.left.append(pending.trace)
        shipment.error = shipment.error or f"X-Ray did not take all documents: {pending.passing}"
        return
    shipment.drops += pending.drops
    shipment.acknowledged += pending.trace.lines - pending.drops.total()
