from __future__ import annotations

from pathlib import Path

import pytest

from tollmeter.cli.sample.driver import is_streamed
from tollmeter.cli.sample.traces import TraceRow, read_trace
from tollmeter.model.errors import DataError

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"


def trace(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "trace"
    path.write_bytes(text.encode())
    return path


def test_azure_rows_carry_offset_and_tokens(tmp_path: Path) -> None:
    text = AZURE + "2023-11-16 18:17:03.9799600,4808,10\r\n2023-11-16 18:17:04.0319609,3180,8\r\n"
    assert read_trace(trace(tmp_path, text)) == [
        TraceRow(0, 0.0, 4808, 10),
        TraceRow(1, pytest.approx(0.052), 3180, 8),  # type: ignore[arg-type]
    ]


def test_a_last_line_without_newline_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    text = "\ufeff" + AZURE + "2023-11-16 18:17:03,1,2\r\n\r\n2023-11-16 18:17:04,3,4"
    assert [(row.offset_s, row.input_tokens) for row in read_trace(trace(tmp_path, text))] == [(0.0, 1), (1.0, 3)]


def test_mooncake_blocks_are_cached_only_as_a_prefix_and_never_beyond_the_input(tmp_path: Path) -> None:
    lines = [
        '{"timestamp": 1000, "input_length": 1500, "output_length": 5, "hash_ids": [1, 2, 3]}',
        '{"timestamp": 2500, "input_length": 1500, "output_length": 6, "hash_ids": [1, 2, 4]}',
        '{"timestamp": 2500, "input_length": 1300, "output_length": 7, "hash_ids": [9, 2, 3]}',
        '{"timestamp": 3000, "input_length": 1500, "output_length": 8, "hash_ids": [1, 2, 4]}',
    ]
    rows = read_trace(trace(tmp_path, "\n".join(lines)))
    assert [row.cached_tokens for row in rows] == [0, 1024, 0, 1500]
    assert [row.offset_s for row in rows] == [0.0, 1.5, 1.5, 2.0]


def test_rows_stop_at_the_number_asked_for(tmp_path: Path) -> None:
    text = AZURE + "2023-11-16 18:17:03,1,2\r\n" * 5
    assert len(read_trace(trace(tmp_path, text), 3)) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("when,in,out\n1,2,3\n", "'when,in,out'"),
        ('{"timestamp": 1}\n', "TIMESTAMP,ContextTokens,GeneratedTokens"),
        (AZURE, "no rows"),
        ("", "no trace"),
        (AZURE + "2023-11-16 18:17:03,1,2\n2023-11-16 18:17:04,many,2\n", "line 3"),
        (AZURE + "2023-11-16 18:17:03,1\n", "line 2"),
        (AZURE + "2023-11-16 18:17:03,-1,2\n", "'2023-11-16 18:17:03,-1,2'"),
        (AZURE + "soon,1,2\n", "line 2"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_trace(trace(tmp_path, text))


def test_no_file_and_no_text_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_trace(tmp_path / "absent")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match="UTF-8"):
        read_trace(tmp_path / "binary")


def test_half_of_the_rows_are_streamed() -> None:
    assert sum(is_streamed(TraceRow(index, 0.0, 1, 1)) for index in range(1000)) == 500


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "rows", "given", "made"),
    [
        ("azure_llm_2023/AzureLLMInferenceTrace_conv.csv", 19_366, 22_361_870, 4_088_665),
        ("azure_llm_2023/AzureLLMInferenceTrace_code.csv", 8_819, 18_059_974, 245_896),
    ],
)
def test_azure_traces_sum_to_their_files(shared: Path, name: str, rows: int, given: int, made: int) -> None:
    found = read_trace(shared / "data/traces" / name)
    assert (len(found), sum(r.input_tokens for r in found), sum(r.output_tokens for r in found)) == (rows, given, made)


@pytest.mark.shared_data
def test_mooncake_reuse_is_what_its_authors_publish(shared: Path) -> None:
    rows = read_trace(shared / "data/traces/mooncake/conversation_trace.jsonl")
    share = sum(row.cached_tokens for row in rows) / sum(row.input_tokens for row in rows)
    assert len(rows) == 12_031
    assert share == pytest.approx(0.374, abs=0.0005)
