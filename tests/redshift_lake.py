"""One lake for all engines: events through the ETL into Iceberg, and the same rows in the Redshift double."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from redshift_double import PASSWORD, USER, RedshiftDouble

from tollmeter.etl import run
from tollmeter.model.events import Evaluation, Event, LlmCall, Request, Run, Status, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings
from tollmeter.sql.ddl import native_table
from tollmeter.sql.duckdb_engine import DuckDBEngine
from tollmeter.sql.engine import open_remote
from tollmeter.sql.lake_views import TABLES

START = datetime(2026, 11, 1, 22, tzinfo=UTC)
COMMITTED = """
currency: USD
commitments:
  - {name: units, provider: openai, resource_id: asked-for, model: m, usd_per_hour: 39.6, tokens_per_minute: 1000,
     valid_from: "2026-11-01T22:15:00Z", valid_until: "2026-11-02T03:00:00Z"}
"""
MODELS = ("gpt-4o", "claude-sonnet-4-5", "", "mödel-Ω")


def settings(redshift: RedshiftDouble, **more: Any) -> Settings:
    """How the driver reaches the double."""
    given: dict[str, Any] = {
        "redshift_host": "127.0.0.1",
        "redshift_port": redshift.port,
        "redshift_user": USER,
        "redshift_password": PASSWORD,
        "redshift_sslmode": "disable",
    } | more
    return Settings.load({}, **given)


def filled_home(home: Home) -> Home:
    """A home whose lake holds three days of every kind of row, some of it null, empty, unpriced or in quarantine."""
    folder = home.raw / "dt=2026-11-04" / "hour=00"
    folder.mkdir(parents=True)
    lines = [encode(event) for event in _events(random.Random(7))]
    (folder / "one.jsonl").write_bytes(b"".join(lines) + b"not json\n" + b'{"kind":"llm_call"}\n')
    overlay = home.path / "prices.yaml"
    overlay.write_text(COMMITTED)
    report = run(home, settings=Settings.load(price_overlay=str(overlay)))
    assert report.holds
    return home


def copy_to(redshift: RedshiftDouble, home: Home) -> None:
    """The lake's rows as the tables of the external schema."""
    with DuckDBEngine(home) as lake, open_remote("redshift", settings(redshift)) as engine:
        engine.define("CREATE SCHEMA tollmeter_lake")
        for table in TABLES:
            engine.define(native_table(table, '"tollmeter_lake"'))
            rows = lake.execute(f"SELECT * FROM {table}").to_pylist()
            lines = "".join("\t".join(map(_text, row.values())) + "\n" for row in rows)
            redshift.psql(f'COPY "tollmeter_lake"."{table}" FROM STDIN', lines.encode())


def _events(chance: random.Random) -> Iterator[Event]:
    for index in range(400):
        moment = START + timedelta(seconds=index * 401, microseconds=chance.randrange(10**6))
        request_id = f"r{index}"
        losses = {"spool_full": index} if index % 50 == 0 else {}
        call = _call(chance, moment, request_id)
        yield call
        yield Request(event_id=new_event_id(), timestamp=moment, service="chat", environment="test", losses=losses,
                      request_id=request_id, session_id=call.session_id,
                      tags={"event": chance.choice(["done", "handed.over"])} if index % 3 else {},
                      tenant_id=call.tenant_id, route=chance.choice(["/chat", "/search/{id}", ""]),
                      status_code=chance.choice([200, 429, 500]), duration_ms=chance.lognormvariate(6, 1))  # fmt: skip
        if index % 40 == 0:
            yield Evaluation(event_id=new_event_id(), timestamp=moment, service="chat", call_id=call.event_id,
                             name="relevance", score=chance.random(), losses=losses)  # fmt: skip
            yield Run(event_id=new_event_id(), timestamp=moment, service="tollmeter", component="forward", sink="xray",
                      lag_ms=chance.random(), counts={"acknowledged": index, "dropped_late": 1})  # fmt: skip


def _call(chance: random.Random, moment: datetime, request_id: str) -> LlmCall:
    status: Status = chance.choice(("ok", "ok", "ok", "error", "partial"))
    cost = None if chance.random() < 0.2 else Decimal(chance.randrange(10**12)).scaleb(-12)
    return LlmCall(
        event_id=new_event_id(), timestamp=moment, service="chat", environment="test", request_id=request_id,
        tenant_id=chance.choice(["acme", "zeta's", ""]), team="growth", feature="search", user_id="u1",
        session_id=f"s{chance.randrange(30)}", prompt_name="answer", prompt_version=f"v{chance.randrange(3)}",
        experiment=chance.choice(["", "rerank"]), variant=chance.choice("ab"),
        route="/chat", provider="openai", operation="chat",
        request_model="asked-for", response_model=chance.choice(MODELS), status=status,
        error_type="RateLimitError" if status == "error" else "", http_status=chance.choice([200, 429, None]),
        fallback_from=chance.choice(["", "first"]), fees_usd=chance.choice([None, Decimal("0.02")]),
        server_tool_calls=chance.choice([{}, {"web_search": 2, "code_interpreter": 1}]),
        tags={"tollmeter.simulated": "ttft_ms"} if chance.random() < 0.3 else {},
        input_tokens=chance.choice([None, chance.randrange(10_000)]), output_tokens=chance.randrange(900),
        cache_read_tokens=chance.randrange(100), usage_source="reported", latency_ms=chance.lognormvariate(7, 1),
        ttft_ms=chance.choice([None, chance.lognormvariate(5, 1)]), cost_usd=cost,
        cost_status="unpriced" if cost is None else "priced",
    )  # fmt: skip


def _text(value: Any) -> str:
    if value is None:
        return r"\N"
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
