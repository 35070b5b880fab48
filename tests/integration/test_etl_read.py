"""Parts of a plan: the same whether lines are judged here or by processes beside."""

from __future__ import annotations

import os
import signal
import subprocess
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
from tollmeter.etl.plan import Plan, Planned
from tollmeter.etl.pool import Task, judged_in_order
from tollmeter.etl.read import Part, read_parts
from tollmeter.etl.tombstones import Tombstones
from tollmeter.model.errors import DataError, TransientError
from tollmeter.model.home import Home

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LINES = list(islice(mutated_lines(Random(7)), 3000))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "raw").mkdir()
    for number in range(4):
        (tmp_path / "raw" / f"{number}.jsonl").write_bytes(b"\n".join(LINES[number * 750 : (number + 1) * 750]))
    objects = [Planned(f"{number}.jsonl", 0, NOW) for number in range(4)]
    return Plan("b", NOW, objects, part_lines=100_000, part_bytes=160_000)


def parts(plan: Plan, folder: Path, workers: int) -> list[Part]:
    return list(read_parts(plan, Opener(Home(folder)), lambda _: None, workers=workers))


def test_processes_beside_make_the_same_parts(plan: Plan, tmp_path: Path) -> None:
    here, beside = parts(plan, tmp_path, 1), parts(plan, tmp_path, 2)
    assert len(here) == len(beside) > 3
    assert here == beside
    assert sum(part.lines.total() for part in beside) == len(LINES)
    assert [part.part_id for part in beside] == [f"b-{number}" for number in range(len(beside))]


def test_lines_are_numbered_within_their_object(plan: Plan, tmp_path: Path) -> None:
    found = [row for part in parts(plan, tmp_path, 1) for row in part.quarantine.to_pylist()]
    assert len(found) > 500
    for row in found:
        number = int(row["object_key"].removesuffix(".jsonl"))
        line = LINES[number * 750 + row["line_number"] - 1]
        assert row["raw_text"][:4] == line.decode("utf-8", "backslashreplace").replace("\0", "\\x00")[:4]
        assert row["sha256"] == sha256((tmp_path / "raw" / row["object_key"]).read_bytes()).hexdigest()


def test_an_object_that_vanished_is_named(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "raw" / "2.jsonl").unlink()
    with pytest.raises(DataError, match=r"2\.jsonl"):
        parts(plan, tmp_path, 2)


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

    with pytest.raises(TransientError, match="ended with -9"):
        list(judged_in_order(tasks(), Judging(NOW, Tombstones()), 2, 16))
    assert [process.poll() for process in started] == [-9, -9]
