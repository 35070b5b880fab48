"""Slices of a plan: the same whether lines are judged and files made here or by processes beside."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from mutation import mutated_lines

from tollmeter.etl.judge import Judging, Piece
from tollmeter.etl.lines import Block
from tollmeter.etl.opening import Opener
from tollmeter.etl.parquet import Encoding
from tollmeter.etl.plan import Plan, Planned
from tollmeter.etl.pool import Crew, Files
from tollmeter.etl.read import slices
from tollmeter.etl.slices import Order, Seen, Task
from tollmeter.etl.tombstones import Tombstones
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.errors import DataError, TransientError
from tollmeter.model.home import Home

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HOW = Judging(NOW, Tombstones())
LINES = list(islice(mutated_lines(Random(7)), 3000))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "raw").mkdir()
    for number in range(4):
        (tmp_path / "raw" / f"{number}.jsonl").write_bytes(b"\n".join(LINES[number * 750 : (number + 1) * 750]))
    objects = [Planned(f"{number}.jsonl", 0, NOW) for number in range(4)]
    return Plan("b", NOW, objects, slice_lines=100_000, slice_bytes=160_000, part_slices=2)


def worked_on(plan: Plan, folder: Path, processes: int) -> list[tuple[Seen, Files]]:
    found = []
    with Crew(processes) as crew:
        for work in crew.work(slices(plan, Opener(Home(folder)), lambda _: None), HOW):
            seen = work.seen()
            encodings = {name: Encoding(arrow_schema(name), "zstd", 16_384) for name in seen.rows}
            work.order({name: Order(None, "b-0", NOW, encoding) for name, encoding in encodings.items()})
            found.append((seen, work.made()))
    return found


def test_processes_beside_make_the_same_of_the_same_slices(plan: Plan, tmp_path: Path) -> None:
    here, beside = worked_on(plan, tmp_path, 1), worked_on(plan, tmp_path, 2)
    assert len(here) == len(beside) > 3
    assert here == beside
    assert sum(seen.lines.total() for seen, _ in beside) == len(LINES)
    assert all(files[name] for seen, files in beside for name in seen.rows)


def test_lines_are_numbered_within_their_object(plan: Plan, tmp_path: Path) -> None:
    found = [row for seen, _ in worked_on(plan, tmp_path, 1) for row in seen.quarantine.to_pylist()]
    assert len(found) > 500
    for row in found:
        number = int(row["object_key"].removesuffix(".jsonl"))
        line = LINES[number * 750 + row["line_number"] - 1]
        assert row["raw_text"][:4] == line.decode("utf-8", "backslashreplace").replace("\0", "\\x00")[:4]
        assert row["sha256"] == sha256((tmp_path / "raw" / row["object_key"]).read_bytes()).hexdigest()


def test_an_object_that_vanished_is_named(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "raw" / "2.jsonl").unlink()
    with pytest.raises(DataError, match=r"2\.jsonl"):
        worked_on(plan, tmp_path, 2)


def test_a_process_that_dies_ends_the_run_and_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Started(subprocess.Popen[bytes]):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)  # type: ignore[call-overload]  # whatever the pool passes
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Started)

    def tasks() -> Iterator[Task]:
        for number in range(50):
            if number == 20:
                os.kill(started[0].pid, signal.SIGKILL)
                started[0].wait()
            yield [Piece(0, "k", "s", 1, Block(b"x\n" * 100, 100, {}))]

    def judged(crew: Crew) -> Counter[int]:
        lines = Counter[int]()
        for work in crew.work(tasks(), HOW):
            lines += work.seen().lines
            work.order({})
        return lines

    with Crew(2) as crew, pytest.raises(TransientError, match="ended with -9"):
        judged(crew)
    assert [process.poll() for process in started] == [-9, -9]
