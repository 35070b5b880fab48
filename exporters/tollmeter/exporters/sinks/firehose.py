"""Amazon Data Firehose: whole lines in records; a line may arrive twice, which the ETL tells by its event id.

Limits: https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from tollmeter.exporters.aws import client
from tollmeter.exporters.sinks.base import NOTHING, TOO_LARGE, Receipt
from tollmeter.model.errors import SettingError

if TYPE_CHECKING:
    from tollmeter.model.settings import Settings

_MAX_RECORD: Final = 1000 << 10
_MAX_BATCH: Final = 4 << 20
_RECORD: Final = 256 << 10
_TRIES: Final = 3
_ACTIVE: Final = "ACTIVE"


class FirehoseStream:
    """Puts lines into a delivery stream, many to a record; durable, for a batch that fails is put again whole.

    Raises:
        SettingError: no stream is named.
        MissingExtraError: boto3 is not installed.
    """

    name = "firehose"
    durable = True
    interval_s = 1.0
    batch_bytes = _MAX_BATCH - _RECORD

    def __init__(self, settings: Settings) -> None:
        if not settings.firehose_stream:
            raise SettingError("firehose_stream", "", "the name of a delivery stream")
        self._stream = settings.firehose_stream
        self._client = client("firehose", settings)

    def send(self, lines: list[bytes]) -> Receipt:
        """Put all lines; one larger than Firehose takes is dropped.

        Raises:
            ConnectionError: some records were refused at every try, though the call went through.
            botocore.exceptions.ClientError: the stream refuses.
            botocore.exceptions.BotoCoreError: it cannot be reached, or there are no credentials.
        """
        fitting = [line for line in lines if len(line) < _MAX_RECORD]
        for batch in _batches(_records(fitting)):
            self._put(batch)
        too_large = len(lines) - len(fitting)
        return Receipt(len(fitting), drops={TOO_LARGE: too_large} if too_large else {})

    def flush(self, *, final: bool) -> Receipt:
        """Nothing is held."""
        del final
        return NOTHING

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def probe(self) -> str:
        """Ask for the stream's state; whether records may be put is not tried, for a record cannot be taken back.

        Raises:
            ConnectionError: the stream is not active.
            botocore.exceptions.ClientError: there is no such stream, or asking is not allowed.
            botocore.exceptions.BotoCoreError: Firehose cannot be reached, or there are no credentials.
        """
        answer = self._client.describe_delivery_stream(DeliveryStreamName=self._stream, Limit=1)
        status = answer["DeliveryStreamDescription"]["DeliveryStreamStatus"]
        if status != _ACTIVE:
            raise ConnectionError(f"the stream {self._stream} is {status}")
        return f"puts records into the stream {self._stream}, which is {status}; putting was not tried"

    def _put(self, records: list[bytes]) -> None:
        code = ""
        for _ in range(_TRIES):
            answer = self._client.put_record_batch(
                DeliveryStreamName=self._stream, Records=[{"Data": record} for record in records]
            )
            verdicts = answer["RequestResponses"]
            records = [record for record, verdict in zip(records, verdicts, strict=True) if verdict.get("ErrorCode")]
            if not records:
                return
            code = next(verdict["ErrorCode"] for verdict in verdicts if verdict.get("ErrorCode"))
        raise ConnectionError(f"{len(records)} records refused: {code}")


def _records(lines: list[bytes]) -> Iterator[bytes]:
    record = bytearray()
    for line in lines:
        if record and len(record) + len(line) >= _RECORD:
            yield bytes(record)
            record.clear()
        record += line + b"\n"
    if record:
        yield bytes(record)


def _batches(records: Iterator[bytes]) -> Iterator[list[bytes]]:
    # A record holds 256 KiB or one longer line, so 500 records, the other limit, are never reached.
    batch: list[bytes] = []
    size = 0
    for record in records:
        if batch and size + len(record) > _MAX_BATCH:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record)
    if batch:
        yield batch
