"""No construct that Redshift lacks, in any file of SQL; and each one that is known is caught."""

from __future__ import annotations

import re

import pytest
import sqlglot
from redshift_dialect import faults
from sqlglot import exp

from tollmeter.model.settings import Settings
from tollmeter.sql.ddl import native_table
from tollmeter.sql.deploy import steps_of, view_file
from tollmeter.sql.dialect import to_duckdb
from tollmeter.sql.lake_views import TABLES
from tollmeter.sql.named import load, names
from tollmeter.sql.templates import template, template_names

VALUES = {
    "external_schema": "spectrum_schema",
    "glue_database": "ai_platform_lake",
    "iam_role": "arn:aws:iam::123456789012:role/spectrum",
    "schema": "public",
    "spectrum_schema": "spectrum_schema",
    "native_schema": "tollmeter_native",
    "reader_role": "tollmeter_reader",
    "database": "analytics",
    "view": "llm_requests",
    "table": "llm_calls",
    "url": "s3://ai-platform-data/requests/",
    "since": "2026-11-01",
    "until": "2026-12-01",
}
P50 = "PERCENTILE_CONT(0.5) WITHIN GROUP"
# sqlglot knows neither and keeps them as they are: held to Redshift's syntax here.
EXTERNAL_SCHEMA = (
    r"CREATE EXTERNAL SCHEMA (IF NOT EXISTS )?\S+\s+FROM DATA CATALOG\s+DATABASE '[^']+'\s+IAM_ROLE (default|'[^']+')"
)
UNLOAD = (
    r"UNLOAD \(\s*'(?P<query>(?:[^']|'')+)'\s*\)\s+TO 's3://[^']+'\s+IAM_ROLE (default|'[^']+')\s+FORMAT AS PARQUET"
    r"\s+PARTITION BY \(\w+\) INCLUDE\s+CLEANPATH"
)


@pytest.mark.parametrize("name", names())
def test_queries_hold_nothing_that_redshift_lacks(name: str) -> None:
    assert faults(load(name).sql) == []


@pytest.mark.parametrize("name", ["llm_requests", "raw_requests"])
def test_views_hold_nothing_that_redshift_lacks(name: str) -> None:
    assert faults(view_file(name).sql) == []


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("SELECT COUNT(*) FILTER (WHERE a > 1) FROM t", "Filter"),
        ("SELECT a, COUNT(*) FROM t GROUP BY ALL", "GROUP BY ALL"),
        ("SELECT DISTINCT ON (a) a, b FROM t", "DISTINCT ON"),
        ("SELECT STRING_AGG(a, ',') FROM t", "STRING_AGG"),
        ("SELECT QUANTILE_CONT(a, 0.5) FROM t", "QUANTILE_CONT"),
        ("SELECT [1, 2]", "Array"),
        ("SELECT a IS DISTINCT FROM b FROM t", "NullSafeNEQ"),
        ("SELECT * FROM generate_series(1, 2)", "GENERATE_SERIES"),
        ("SELECT * EXCLUDE (a) FROM t", "EXCLUDE"),
        ("SELECT a->>'b' FROM t", "JSONExtractScalar"),
        ("SELECT * FROM t USING SAMPLE 10", "TableSample"),
        ("SELECT * FROM (VALUES (1)) AS v(a)", "Values"),
        ("SELECT * FROM t, LATERAL (SELECT 1) AS x", "Lateral"),
        ("SELECT a FROM t EXCEPT ALL SELECT a FROM u", "EXCEPT ALL"),
        ("SELECT SUM(a) OVER (ORDER BY b NULLS FIRST) FROM t", "NULLS FIRST"),
        ("FROM t SELECT a", "FROM before SELECT"),
        ("SELECT a AS tag FROM t", "reserved word tag"),
        (f"SELECT {P50} (ORDER BY a), {P50} (ORDER BY b) FROM t", "two orderings"),
    ],
)
def test_what_redshift_lacks_is_caught(sql: str, fault: str) -> None:
    assert any(fault in one for one in faults(sql)), faults(sql)


@pytest.mark.parametrize("sql", ["SELECT 5 // 2", "SELECT 2 ** 3", "SELECT 1 FROM"])
def test_what_is_no_redshift_at_all_does_not_parse(sql: str) -> None:
    with pytest.raises(sqlglot.ParseError):
        faults(sql)


@pytest.mark.parametrize("name", template_names())
def test_statements_parse_as_redshift(name: str, caplog: pytest.LogCaptureFixture) -> None:
    for statement in template(name).filled(VALUES):
        (tree,) = sqlglot.parse(statement, read="redshift", error_level=sqlglot.ErrorLevel.RAISE)
        if isinstance(tree, exp.Command):
            assert re.fullmatch(rf"{EXTERNAL_SCHEMA}|{UNLOAD}|CREATE ROLE \S+", statement), statement
    caplog.clear()


def test_deployment_and_native_tables_parse_as_redshift(caplog: pytest.LogCaptureFixture) -> None:
    steps = steps_of(Settings.load({}), native=True, recreate=True)
    assert len(steps) == len({step.sql for step in steps})
    views = [step.sql for step in steps if step.sql.startswith("CREATE OR REPLACE VIEW")]
    assert all(sql.endswith("WITH NO SCHEMA BINDING") for sql in views)
    assert len(views) == len(TABLES) + 2
    for sql in (step.sql for step in steps):
        sqlglot.parse_one(sql, read="redshift", error_level=sqlglot.ErrorLevel.RAISE)
    for table in TABLES:
        assert sqlglot.parse_one(native_table(table, '"n"'), read="redshift").find(exp.Schema)
    caplog.clear()


def test_what_is_unloaded_is_a_query_that_both_engines_take() -> None:
    (statement,) = template("unload_by_model").filled(VALUES)
    match = re.fullmatch(UNLOAD, statement)
    assert match
    inner = match["query"].replace("''", "'")
    assert faults(inner) == []
    assert "created_at >= '2026-11-01' AND created_at < '2026-12-01'" in inner
    assert to_duckdb(inner).startswith('SELECT * FROM "public".llm_requests')
