"""Values in statements are checked and quoted; DDL follows the registry; the driver is told what it needs."""

from __future__ import annotations

from typing import Any

import pytest

from tollmeter.model.arrow import arrow_schema
from tollmeter.model.errors import SettingError, UnknownNameError, UsageError
from tollmeter.model.events import MAX_CONTENT
from tollmeter.model.settings import Settings
from tollmeter.sql.ddl import column_type, native_table, table_columns
from tollmeter.sql.deploy import steps_of
from tollmeter.sql.engine import open_engine, open_remote
from tollmeter.sql.identifiers import KINDS
from tollmeter.sql.lake_views import TABLES
from tollmeter.sql.placing import split, with_schemas, without_unbindable
from tollmeter.sql.redshift_engine import connect_arguments
from tollmeter.sql.results import arrow_type
from tollmeter.sql.templates import template


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("identifier", 'a"; DROP TABLE x; --'),
        ("identifier", "1st"),
        ("identifier", "a.b"),
        ("identifier", ""),
        ("identifier", "a" * 128),
        ("glue_name", "lake'; --"),
        ("iam_role", "arn:aws:iam::123456789012:user/me"),
        ("iam_role", "arn:aws:iam::123456789012:role/x' CREATE"),
        ("iam_role", "Default"),
        ("s3_url", "https://bucket/x"),
        ("s3_url", "s3://bucket/it's"),
        ("s3_url", "s3://Bucket/x"),
        ("day", "2026-13-01"),
        ("day", "2026-11-01' OR '1'='1"),
    ],
)
def test_what_is_not_of_its_kind_goes_into_no_statement(kind: str, value: str) -> None:
    with pytest.raises(SettingError, match="is not allowed: expected"):
        KINDS[kind]("name", value)


def test_values_are_quoted() -> None:
    role = "arn:aws:iam::123456789012:role/service-role/spectrum"
    assert KINDS["identifier"]("n", "Spectrum_Schema") == '"spectrum_schema"'
    assert KINDS["glue_name"]("n", "ai-platform_lake") == "'ai-platform_lake'"
    assert KINDS["iam_role"]("n", f"{role},{role}") == f"'{role},{role}'"
    assert KINDS["iam_role"]("n", "default") == "default"
    assert KINDS["s3_url"]("n", "s3://ai-platform-data/requests/") == "'s3://ai-platform-data/requests/'"


def test_a_value_that_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(UsageError, match="statement unload_by_model needs since: first day"):
        template("unload_by_model").filled({"schema": "public"})
    with pytest.raises(UnknownNameError, match="no statement named 'unload_by_modle'; did you mean unload_by_model"):
        template("unload_by_modle")


def test_a_setting_that_is_no_identifier_stops_the_deployment() -> None:
    with pytest.raises(SettingError, match="schema='a;b' is not allowed"):
        steps_of(Settings.load({}, redshift_schema="a;b"))
    with pytest.raises(SettingError, match="iam_role='me' is not allowed: expected default, or an ARN"):
        steps_of(Settings.load({}, redshift_iam_role="me"))


@pytest.mark.parametrize("table", TABLES)
def test_ddl_and_parquet_agree_in_order_and_type(table: str) -> None:
    schema = arrow_schema(table)
    columns = table_columns(table)
    assert [column.name for column in columns] == schema.names
    for column, field in zip(columns, schema, strict=True):
        kind = column_type(column).lower().removesuffix(" precision")
        assert arrow_type(kind) == field.type, column.name
        assert (f'"{column.name}" {column_type(column)} NOT NULL' in native_table(table, '"n"')) is not field.nullable


def test_texts_fit_in_bytes() -> None:
    known = {column.name: column_type(column) for column in table_columns("llm_calls")}
    assert known["input_content"] == "VARCHAR(65532)" == f"VARCHAR({MAX_CONTENT * 4})"
    assert (known["event_id"], known["trace_id"], known["user_id"]) == (
        "VARCHAR(36)",
        "VARCHAR(1024)",
        "VARCHAR(16384)",
    )
    assert (known["status"], known["cost_status"], known["tags"]) == ("VARCHAR(7)", "VARCHAR(12)", "VARCHAR(65535)")


def test_schemas_go_before_tables_alone() -> None:
    text = "WITH calls AS (SELECT * FROM llm_calls AS c, other.llm_calls) SELECT llm_calls.x, 'llm_calls' FROM calls"
    assert with_schemas(text, {"llm_calls": '"s"', "calls": '"s"'}) == text.replace(
        "FROM llm_calls", 'FROM "s".llm_calls'
    )


def test_what_cannot_be_bound_becomes_a_constant_and_nothing_else() -> None:
    text = "SELECT ':a' AS x, \":a\", :a, :ab, b::text -- :a\nFROM t WHERE y = :a"
    found, left = without_unbindable(text, {"a": "", "ab": 1})
    assert found == "SELECT ':a' AS x, \":a\", '', :ab, b::text -- :a\nFROM t WHERE y = ''"
    assert left == {"ab": 1}
    assert split("SELECT 1;;\n;") == ["SELECT 1"]


PASSWORD = {"redshift_host": "h", "redshift_user": "u", "redshift_password": "p"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (PASSWORD, {"host": "h", "port": 5439, "user": "u", "password": "p", "sslmode": "verify-full"}),
        (
            PASSWORD | {"redshift_sslmode": "disable"},
            {"host": "h", "port": 5439, "user": "u", "password": "p", "ssl": False},
        ),
        (
            {"redshift_workgroup": "ai-platform-workgroup", "region": "eu-central-1"},
            {"iam": True, "is_serverless": True, "serverless_work_group": "ai-platform-workgroup",
             "region": "eu-central-1", "sslmode": "verify-full"},
        ),
        (
            {"redshift_cluster": "c", "redshift_user": "u", "redshift_sslmode": "verify-ca"},
            {"iam": True, "cluster_identifier": "c", "db_user": "u", "sslmode": "verify-ca"},
        ),
    ],
)  # fmt: skip
def test_the_driver_is_told_who_and_where(given: dict[str, Any], expected: dict[str, Any]) -> None:
    found = connect_arguments(Settings.load({}, **given))
    always = {"database": "analytics", "timeout": 330, "application_name": "tollmeter"}
    assert found == always | expected


@pytest.mark.parametrize("kind", ["redshift", "redshift-data"])
def test_an_engine_without_a_place_is_wrong_usage(kind: str) -> None:
    with pytest.raises(UsageError, match="needs TOLLMETER_REDSHIFT_WORKGROUP or TOLLMETER_REDSHIFT_CLUSTER"):
        open_remote(kind, Settings.load({}))


def test_engines_are_named(home: Any) -> None:
    with pytest.raises(UnknownNameError, match="no engine named 'oracle'; known: duckdb, redshift, redshift-data"):
        open_engine("oracle", home)
    with pytest.raises(UnknownNameError, match="no engine on Redshift named 'duckdb'; known: redshift, redshift-data"):
        open_remote("duckdb")
    with pytest.raises(SettingError, match="one of duckdb, redshift, redshift-data"):
        Settings.load({}, engine="oracle")
