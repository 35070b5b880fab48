"""Records of another system into `raw/`, as the events they would have been: `etl run` lands them like all others."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import msgspec

from tollmeter.etl.importing.bedrock import BEDROCK
from tollmeter.etl.importing.fields import RecordError, SkippedError
from tollmeter.etl.importing.langfuse import LANGFUSE
from tollmeter.etl.importing.litellm import LITELLM
from tollmeter.etl.importing.openai_usage import OPENAI_USAGE
from tollmeter.etl.importing.reading import Record, files_of, records_of
from tollmeter.etl.importing.source import Context, Source
from tollmeter.etl.lines import Line
from tollmeter.etl.parse import Fault, parse_line
from tollmeter.model.errors import UnknownNameError

if TYPE_CHECKING:
    from tollmeter.model.home import Home
    from tollmeter.pricing.book import PriceBook

SOURCES: Final = {source.name: source for source in (LITELLM, LANGFUSE, OPENAI_USAGE, BEDROCK)}
Progress = Callable[[int, int], None]
_UNREADABLE: Final = "unreadable"
_EXAMPLES: Final = 5


@dataclass(slots=True)
class ImportReport:
    """What an import did: every record was imported (as one event or more), skipped, or bad.

    `examples` are the first bad records: file, number, what was found.
    """

    source: str
    files: int = 0
    records: int = 0
    events: int = 0
    imported: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {**asdict(self), "skipped": dict(self.skipped), "bad": dict(self.bad), "accounted_for": self.holds}

    @property
    def holds(self) -> bool:
        """Whether every record is accounted for."""
        return self.records == self.imported + self.skipped.total() + self.bad.total()


def source_of(name: str) -> Source:
    """The importer of that name.

    Raises:
        UnknownNameError: there is none; the message lists near matches.
    """
    if name not in SOURCES:
        raise UnknownNameError("source", name, SOURCES)
    return SOURCES[name]


def import_files(
    home: Home,
    name: str,
    paths: Iterable[Path],
    book: PriceBook,
    *,
    service: str = "",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Write the calls of files as raw objects, one for each file; importing a file twice lands nothing twice.

    `service` is what rows are filed under, the source's name if empty. `progress` is told how many of how many bytes
    have been read. Nothing is written with `dry_run`.

    Raises:
        UnknownNameError: there is no source of that name.
        UsageError: a path is not there, or is no file of such a source.
        OSError: a file cannot be read, or the raw folder not be written.
    """
    source = source_of(name)
    files = files_of(source, paths)
    report, context = ImportReport(name), Context(service or name, book)
    total, done = sum(file.stat().st_size for file in files), 0
    for file in files:
        report.files += 1
        lines = _lines(file, source, context, report)
        if dry_run:
            for _line in lines:
                pass
        else:
            _write(home, name, lines, report)
        done += file.stat().st_size
        if progress:
            progress(done, total)
    return report


def _lines(file: Path, source: Source, context: Context, report: ImportReport) -> Iterator[bytes]:
    now = datetime.now(UTC)
    for record in records_of(file):
        report.records += 1
        try:
            found = list(_events(record, source, context, now))
        except SkippedError as error:
            report.skipped[error.reason] += 1
        except RecordError as error:
            report.bad[error.reason] += 1
            if len(report.examples) < _EXAMPLES:
                report.examples.append(f"{file}, record {record.number}: {error}")
        else:
            report.imported += 1
            report.events += len(found)
            yield from found


def _events(record: Record, source: Source, context: Context, now: datetime) -> Iterator[bytes]:
    """The lines of one record, each held to what the ETL accepts: what would be quarantined is told here."""
    if record.fault:
        raise RecordError(_UNREADABLE, record.fault)
    try:
        lines = list(source.events(record.values, context))
    except (TypeError, ValueError, AttributeError, msgspec.MsgspecError) as error:
        raise RecordError("shape", str(error)) from error
    for line in lines:
        verdict = parse_line(Line(line.rstrip(b"\n"), len(line)), now)
        if isinstance(verdict, Fault):
            raise RecordError(verdict.reason, verdict.detail)
        yield line


def _write(home: Home, name: str, lines: Iterator[bytes], report: ImportReport) -> None:
    """One raw object, under the digest of its content: what has been ingested before is not read again."""
    import zstandard

    folder = home.raw / f"{datetime.now(UTC):dt=%Y-%m-%d/hour=%H}"
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".import-{name}-{uuid4()}"
    digest, written = hashlib.sha256(), 0
    try:
        with partial.open("xb") as file, zstandard.ZstdCompressor(level=3).stream_writer(file) as stream:
            for line in lines:
                stream.write(line)
                digest.update(line)
                written += 1
        if written:
            final = folder / f"import-{name}-{digest.hexdigest()[:32]}.jsonl.zst"
            partial.replace(final)
            report.objects.append(final.relative_to(home.raw).as_posix())
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
