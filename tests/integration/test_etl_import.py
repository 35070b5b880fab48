"""What other systems recorded, through raw objects and an ETL run, in the lake: each record once, as it was."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from import_records import HASHED_KEY, bedrock, costs_page, langfuse, lines, litellm, usage_page

from tollmeter.cli.main import main
from tollmeter.etl import run
from tollmeter.etl.importing import SOURCES, import_files
from tollmeter.etl.repricing import reprice
from tollmeter.model.columns import columns_of
from tollmeter.model.home import Home
from tollmeter.pricing.book import default_book
from tollmeter.sql.engine import open_engine

Row = dict[str, Any]


def landed(home: Home, table: str = "llm_calls", where: str = "1 = 1") -> list[Row]:
    run(home)
    with open_engine("duckdb", home) as engine:
        found = engine.execute(f'SELECT * FROM {table} WHERE {where} ORDER BY "timestamp", event_id').to_pylist()
    # A text that was not told is empty in the lake, or null: here it is None.
    return [{name: None if value == "" else value for name, value in row.items()} for row in found]


def imported(home: Home, tmp_path: Path, source: str, name: str, content: bytes) -> list[Row]:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    report = import_files(home, source, [file], default_book())
    assert report.holds
    assert not report.bad
    return landed(home)


def has(row: Row, **expected: Any) -> None:
    assert {name: row[name] for name in expected} == expected


def test_litellm_calls_are_what_the_proxy_wrote(home: Home, tmp_path: Path) -> None:
    (row,) = imported(home, tmp_path, "litellm", "spend.jsonl", lines(litellm()))
    has(
        row, timestamp=datetime(2026, 11, 1, 10), service="litellm", provider="anthropic", operation="chat",  # noqa: DTZ001
        request_model="smart", response_model="claude-sonnet-4-5", resource_id="deployment-7", status="ok",
        input_tokens=1000, output_tokens=50, cache_read_tokens=600, cache_write_tokens=100, reasoning_tokens=30,
        usage_source="reported", latency_ms=2500.0, ttft_ms=500.0, stream=True, output_tokens_per_s=25.0,
        cost_usd=Decimal("0.001230000000"), cost_status="priced", price_ref="litellm", user_id="customer-9",
        team="growth", session_id="s-1", credential_ref=HASHED_KEY, attempt=None, trace_id=None, cache_hit=False,
    )  # fmt: skip
    assert json.loads(row["tags"]) == {
        "litellm.user": "u-internal",
        "litellm.organization_id": "org-1",
        "litellm.request_tags": "chat,beta",
        "litellm.key_alias": "prod-key",
    }
    assert "secret" not in str(row)
    assert "203.0.113.7" not in str(row)


def test_litellm_failures_cache_hits_and_unknown_prices_are_not_zeros(home: Home, tmp_path: Path) -> None:
    fault = {"error_information": {"error_class": "RateLimitError", "error_code": "429"}, "status": "failure"}
    records = [
        litellm(request_id="failed", status="failure", metadata=fault, prompt_tokens=0, completion_tokens=0, spend=0.0,
                startTime="2026-11-01T01:00:00Z"),
        litellm(request_id="hit", cache_hit="True", spend=0.0, startTime="2026-11-01T02:00:00Z"),
        litellm(request_id="unknown", spend=0, model="my-own", model_group="", startTime="2026-11-01T03:00:00Z",
                completionStartTime="2026-11-01T10:00:02.500Z", api_key="sk-plain", metadata={}),
        litellm(request_id="embedding", call_type="aembedding", custom_llm_provider="azure", spend=0, metadata=None,
                model="text-embedding-3-small", startTime="2026-11-01T04:00:00Z", completion_tokens=0),
    ]  # fmt: skip
    failed, hit, unknown, embedding = imported(home, tmp_path, "litellm", "spend.json", json.dumps(records).encode())
    has(failed, status="error", error_type="RateLimitError", http_status=429, input_tokens=None, cost_usd=None,
        usage_source="missing", cost_status="unpriced", response_model=None)  # fmt: skip
    has(hit, cache_hit=True, cost_usd=Decimal(0), input_tokens=None)
    has(unknown, cost_usd=None, cost_status="unpriced", input_tokens=1000, ttft_ms=None, stream=False,
        request_model="my-own", credential_ref=None)  # fmt: skip
    has(embedding, operation="embeddings", provider="azure.ai.openai", cost_status="priced")
    assert embedding["cost_usd"] > 0
    assert embedding["price_ref"].startswith("genai-prices")


def test_litellm_rows_come_from_csv_and_parquet_alike(home: Home, tmp_path: Path) -> None:
    flat = {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in litellm().items()}
    flat |= {"startTime": "2026-11-01 10:00:00.000", "endTime": "2026-11-01 10:00:02.500",
             "completionStartTime": "2026-11-01 10:00:00.500", "session_id": ""}  # fmt: skip
    with (tmp_path / "spend.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, flat)
        writer.writeheader()
        writer.writerows([flat, flat | {"request_id": "chatcmpl-2"}])
    moments = {name: datetime.fromisoformat(flat[name]) for name in ("startTime", "endTime", "completionStartTime")}
    pq.write_table(pa.Table.from_pylist([flat | moments, flat | moments | {"request_id": "chatcmpl-3"}]),
                   tmp_path / "spend.parquet")  # fmt: skip
    first = import_files(home, "litellm", [tmp_path / "spend.csv"], default_book())
    second = import_files(home, "litellm", [tmp_path / "spend.parquet"], default_book())
    rows = landed(home)
    assert (first.events, second.events) == (2, 2)
    assert len({row["event_id"] for row in rows}) == len(rows) == 3
    for row in rows:
        has(row, input_tokens=1000, latency_ms=2500.0, ttft_ms=500.0, cost_usd=Decimal("0.001230000000"), team="growth")


def test_langfuse_generations_are_calls_and_other_observations_are_not(home: Home, tmp_path: Path) -> None:
    content = gzip.compress(lines(langfuse(), langfuse(id="2", type="SPAN"), langfuse(id="3", type="EVENT")))
    (row,) = imported(home, tmp_path, "langfuse", "observations_v2/part.jsonl.gz", content)
    has(
        row, timestamp=datetime(2026, 11, 1, 10), service="langfuse", environment="production", version="1.4",  # noqa: DTZ001
        operation="chat", request_model="gpt-4o", provider=None, response_model=None, input_tokens=1000,
        output_tokens=30, cache_read_tokens=900, reasoning_tokens=10, latency_ms=3000.0, ttft_ms=1000.0, stream=True,
        cost_usd=Decimal("0.003000000000"), price_ref="langfuse", max_tokens=256, prompt_name="support",
        prompt_version="3", user_id="u-1", session_id="s-1", trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        span_id="00f067aa0ba902b7", parent_span_id=None, status="ok",
    )  # fmt: skip
    assert json.loads(row["tags"]) == {"langfuse.name": "answer", "langfuse.trace_name": "chat-turn",
                                       "langfuse.tags": "beta"}  # fmt: skip
    assert "secret" not in str(row)


def test_langfuse_counts_are_made_inclusive_once(home: Home, tmp_path: Path) -> None:
    inside = {"input": 1000, "output": 20, "input_cached_tokens": 900, "total": 1020}
    apart = {"input": 10, "output": 5, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 40}
    records = [
        langfuse(id="a", usage_details=inside, start_time="2026-11-01 01:00:00"),
        langfuse(id="b", usage_details=apart, start_time="2026-11-01 02:00:00", trace_id="my-trace", level="ERROR"),
        langfuse(id="c", usage_details={}, total_cost=None, start_time="2026-11-01 03:00:00", end_time=None,
                 completion_start_time=None),
    ]  # fmt: skip
    first, second, third = imported(home, tmp_path, "langfuse", "part.jsonl", lines(*records))
    has(first, input_tokens=1000, cache_read_tokens=900, output_tokens=20)
    has(second, input_tokens=140, cache_read_tokens=90, cache_write_tokens=40, status="error", trace_id=None)
    assert json.loads(second["tags"])["langfuse.trace_id"] == "my-trace"
    has(third, input_tokens=None, usage_source="missing", cost_usd=None, cost_status="unpriced", latency_ms=None,
        ttft_ms=None, stream=False)  # fmt: skip


def test_langfuse_parquet_has_maps_and_times(home: Home, tmp_path: Path) -> None:
    record = langfuse()
    table = pa.table({
        "id": [record["id"]], "trace_id": [record["trace_id"]], "project_id": ["p-1"], "type": ["GENERATION"],
        "start_time": pa.array([datetime(2026, 11, 1, 10)], pa.timestamp("us")),  # noqa: DTZ001
        "end_time": pa.array([datetime(2026, 11, 1, 10, 0, 3)], pa.timestamp("us")),  # noqa: DTZ001
        "provided_model_name": ["gpt-4o"], "total_cost": pa.array([Decimal("0.003")], pa.decimal128(38, 12)),
        "usage_details": pa.array([list(record["usage_details"].items())], pa.map_(pa.string(), pa.uint64())),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "part.parquet")
    (row,) = imported(home, tmp_path, "langfuse", "part.parquet", (tmp_path / "part.parquet").read_bytes())
    has(row, input_tokens=1000, output_tokens=30, cost_usd=Decimal("0.003000000000"), latency_ms=3000.0)


def test_bedrock_logs_are_priced_and_count_caches_in(home: Home, tmp_path: Path) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    stream = [{"message": {"id": "msg_1"}, "type": "message_start"},
              {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
              {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"invocationLatency": 900,
               "firstByteLatency": 300, "inputTokenCount": 7, "outputTokenCount": 9}}]  # fmt: skip
    records = [
        bedrock(),
        bedrock(requestId="2", modelId=arn, operation="InvokeModelWithResponseStream", timestamp="2026-11-01T11:00:00Z",
                input={"inputTokenCount": 7}, output={"outputTokenCount": 9, "outputBodyJson": stream}),
        bedrock(requestId="3", errorCode="ThrottlingException", timestamp="2026-11-01T12:00:00Z", input={}, output={}),
        bedrock(requestId="4", operation="InvokeModel", timestamp="2026-11-01T13:00:00Z",
                modelId="amazon.titan-embed-text-v2:0", input={"inputTokenCount": 5},
                output={"outputBodyJson": {"embedding": [0.1]}}),
    ]  # fmt: skip
    hour = "AWSLogs/123456789012/BedrockModelInvocationLogs/us-east-1/2026/11/01/10"
    large = tmp_path / hour / "data" / "large_input.json.gz"
    large.parent.mkdir(parents=True)
    large.write_bytes(gzip.compress(b'{"a body": "that was too large"}'))
    (tmp_path / hour / "part.json.gz").write_bytes(gzip.compress(lines(*records)))
    report = import_files(home, "bedrock-invocations", [tmp_path / "AWSLogs"], default_book())
    assert (report.files, report.events, report.holds) == (1, 4, True)
    converse, streamed, failed, embedding = landed(home)
    has(
        converse, provider="aws.bedrock", region="us-east-1", inference_region="us-west-2", account_id="123456789012",
        request_model="us.anthropic.claude-sonnet-4-20250514-v1:0", resource_id=None, input_tokens=1000,
        output_tokens=50, cache_read_tokens=600, cache_write_tokens=300, latency_ms=1234.0, ttft_ms=None, stream=False,
        finish_reason="end_turn", max_tokens=512, team="growth", tenant_id="acme", cost_status="priced",
        caller_principal="arn:aws:sts::123456789012:assumed-role/chat/session-1",
        provider_request_id="a1b2c3d4-5678-90ab-cdef-1234567890ab",
    )  # fmt: skip
    # 100 plain at 3 USD a million, 600 read at 0.30, 300 written at 3.75, 50 answered at 15.
    assert converse["cost_usd"] == Decimal("0.002355000000")
    assert json.loads(converse["tags"]) == {"cost_centre": "CC-1"}
    has(streamed, resource_id=arn, request_model=arn, stream=True, latency_ms=900.0, ttft_ms=300.0, input_tokens=7,
        output_tokens=9, finish_reason="max_tokens", cost_usd=None, cost_status="unpriced")  # fmt: skip
    has(failed, status="error", error_type="ThrottlingException", input_tokens=None, usage_source="missing",
        latency_ms=None, cost_usd=None)  # fmt: skip
    has(embedding, operation="embeddings", input_tokens=5, latency_ms=None)
    assert "secret" not in str(converse)


def test_latency_that_is_not_known_is_in_no_percentile(home: Home, tmp_path: Path) -> None:
    unknown = [bedrock(requestId=str(index), output={"outputTokenCount": 1}) for index in range(9)]
    imported(home, tmp_path, "bedrock-invocations", "part.json", lines(bedrock(), *unknown))
    with open_engine("duckdb", home) as engine:
        (row,) = engine.query("overview", since="2026-11-01", until="2026-11-02").to_pylist()
        buckets = engine.execute('SELECT SUM("count") AS n FROM rollup_latency_hourly').to_pylist()
    assert (row["calls"], row["p95_latency_ms"]) == (10, pytest.approx(1234.0, rel=0.01))  # of a bucket
    assert buckets == [{"n": 1}]


def test_openai_buckets_are_an_account_and_no_calls(home: Home, tmp_path: Path) -> None:
    (tmp_path / "usage.json").write_text(json.dumps(usage_page(), indent=1))
    (tmp_path / "costs.json").write_text(json.dumps(costs_page()))
    report = import_files(home, "openai-usage", [tmp_path], default_book())
    assert (report.files, report.records, report.events) == (2, 2, 3)
    again = import_files(home, "openai-usage", [tmp_path / "usage.json"], default_book())
    assert again.events == 2
    rows = landed(home, "runs", "component = 'openai-usage'")
    assert landed(home) == []
    counts = {json.loads(row["extra"])["openai"].get("model", "costs"): json.loads(row["counts"]) for row in rows}
    assert counts == {
        "gpt-4o-2024-08-06": {"input_tokens": 5000, "output_tokens": 700, "input_cached_tokens": 4000,
                              "input_audio_tokens": 0, "num_model_requests": 12},
        "gpt-4o-mini": {"input_tokens": 5000, "output_tokens": 700, "input_cached_tokens": 4000,
                        "input_audio_tokens": 0, "num_model_requests": 3},
        "costs": {"cost_picousd": 60_000_000_000},
    }  # fmt: skip
    assert {(row["timestamp"], row["duration_ms"]) for row in rows} == {(datetime(2026, 11, 1), 86_400_000.0)}  # noqa: DTZ001


@pytest.mark.parametrize(("source", "record"), [("litellm", litellm()), ("langfuse", langfuse()),
                                                ("bedrock-invocations", bedrock())])  # fmt: skip
def test_importing_twice_changes_nothing(home: Home, tmp_path: Path, source: str, record: Row) -> None:
    file = tmp_path / "one.jsonl"
    file.write_bytes(lines(record))
    import_files(home, source, [file], default_book())
    before = landed(home)
    assert len(before) == 1
    import_files(home, source, [file], default_book())  # the same content, which the ledger knows
    file.write_bytes(lines(record, record))
    import_files(home, source, [file], default_book(), service="another")  # other content, the same records
    assert landed(home) == before


def test_amounts_of_a_source_can_be_priced_by_the_book(home: Home, tmp_path: Path) -> None:
    imported(home, tmp_path, "litellm", "spend.jsonl", lines(litellm()))
    report = reprice(home, default_book(), since=datetime(2026, 11, 1).date(), until=None)  # noqa: DTZ001
    (row,) = landed(home)
    assert report.calls == 1
    assert row["price_ref"].startswith("genai-prices")
    # 300 plain at 3 USD a million, 600 read at 0.30, 100 written at 3.75, 50 answered at 15.
    assert row["cost_usd"] == Decimal("0.002205000000")


@pytest.mark.parametrize("source", ["litellm", "langfuse", "bedrock-invocations"])
def test_every_column_that_is_set_is_documented(home: Home, tmp_path: Path, source: str) -> None:
    record = {"litellm": litellm(), "langfuse": langfuse(), "bedrock-invocations": bedrock()}[source]
    (row,) = imported(home, tmp_path, source, "one.jsonl", lines(record))
    documented = {name for names, _origin in SOURCES[source].mapping for name in names.split(", ")}
    known = {column.name for column in columns_of("llm_calls")}
    assert {name for name in documented if not name.startswith("…")} <= known
    of_the_lake = {"schema_version", "event_date", "service", "ingested_at", "batch_id", "usage_source", "price_ref",
                   "cost_status", "output_tokens_per_s", "cache_hit"}  # fmt: skip
    money = {column.name for column in columns_of("llm_calls") if column.type == "money"}
    assert {name for name, value in row.items() if value is not None} <= documented | of_the_lake | money


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `tollmeter etl import`; gives exit code, stdout and stderr."""

    def runner(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tollmeter", "etl", "import", *arguments, "--home", str(home.path)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return runner


def test_bad_records_are_counted_and_the_others_imported(cli: Run, home: Home, tmp_path: Path) -> None:
    good = lines(litellm(), litellm(request_id="2"))
    bad = [
        litellm(request_id=""),
        litellm(request_id="a", startTime="yesterday"),
        litellm(request_id="b", prompt_tokens=-5),
        litellm(request_id="c", prompt_tokens="many"),
        litellm(request_id="d", spend="NaN"),
        litellm(request_id="e", end_user="x" * 5000),
        litellm(request_id="f", startTime="2090-01-01T00:00:00Z", endTime=None, completionStartTime=None),
        litellm(request_id="g", session_id="a\0b"),
    ]
    file = tmp_path / "spend.jsonl"
    file.write_bytes(good + lines(*bad) + b'["no object"]\n{"torn": ')
    code, out, _ = cli("litellm", str(file), "--json")
    report = json.loads(out)
    assert code == 1
    assert (report["records"], report["imported"], report["accounted_for"]) == (12, 2, True)
    assert report["bad"] == {"no_id": 1, "time": 1, "count": 2, "money": 1, "invalid": 3, "unreadable": 2}
    assert report["examples"][0] == f"{file}, record 3: no_id: no request_id"
    assert len(landed(home)) == 2
    assert landed(home, "runs", "1 = 1")
    with open_engine("duckdb", home) as engine:
        assert engine.execute("SELECT COUNT(*) AS n FROM quarantine").to_pylist() == [{"n": 0}]


def test_a_dry_run_judges_and_writes_nothing(cli: Run, home: Home, tmp_path: Path) -> None:
    file = tmp_path / "part.jsonl"
    file.write_bytes(lines(langfuse(), langfuse(id="s", type="SPAN"), langfuse(id="", type="GENERATION")))
    code, out, _ = cli("langfuse", str(file), "--dry-run")
    assert code == 1
    assert out.splitlines()[0] == "3 records of 1 files: 1 events would be written"
    assert "1  skipped: SPAN" in out
    assert "1  bad: no_id" in out
    assert not home.raw.exists()


def test_a_damaged_file_is_told_and_what_stands_before_it_is_kept(cli: Run, home: Home, tmp_path: Path) -> None:
    whole = gzip.compress(lines(*(bedrock(requestId=str(index)) for index in range(2000))))
    (tmp_path / "torn.json.gz").write_bytes(whole[: len(whole) // 2])
    code, out, _ = cli("bedrock-invocations", str(tmp_path / "torn.json.gz"), "--json")
    report = json.loads(out)
    assert (code, report["bad"]) == (1, {"unreadable": 1})
    assert 0 < report["events"] < 2000
    (name,) = report["objects"]
    with (home.raw / name).open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read()
    assert text.count(b"\n") == report["events"]
    assert [path.name for path in home.raw.rglob("*") if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("litelm", "x.csv"), "no source named 'litelm'; did you mean litellm?"),
        (("litellm", "missing.csv"), "missing.csv is not there"),
        (("litellm", "{}/notes.txt"), "does not end in one of .csv, .json, .jsonl, .parquet"),
        (("langfuse", "{}/empty"), "holds no file ending in .parquet"),
    ],
)
def test_wrong_usage_names_what_was_allowed(cli: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    code, out, err = cli(*(one.format(tmp_path) for one in arguments))
    assert (code, out) == (2, "")
    assert message in err
