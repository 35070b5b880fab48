from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tollmeter.model import events
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.columns import LAKE_COLUMNS, columns_of
from tollmeter.model.derived import DERIVED_TABLES, bucket_of, value_of
from tollmeter.model.errors import SettingError, UnknownNameError
from tollmeter.model.metrics import METRICS, metric
from tollmeter.model.names import EVENT_TABLES, TABLE_OF_KIND
from tollmeter.model.settings import ROWS, Settings

STRUCTS: dict[str, type[msgspec.Struct]] = {
    "request": events.Request,
    "llm_call": events.LlmCall,
    "evaluation": events.Evaluation,
    "run": events.Run,
}


@pytest.mark.parametrize("kind", STRUCTS)
def test_every_field_of_an_event_is_a_column_and_the_other_way_round(kind: str) -> None:
    struct_fields = {field.name for field in msgspec.structs.fields(STRUCTS[kind])}
    columns = {column.name for column in columns_of(TABLE_OF_KIND[kind])}
    assert struct_fields == columns - LAKE_COLUMNS


@pytest.mark.parametrize("table", [*EVENT_TABLES, *DERIVED_TABLES])
def test_arrow_types_are_those_that_spectrum_reads(table: str) -> None:
    kinds = {str(field.type) for field in arrow_schema(table)}
    assert kinds <= {
        "string", "int64", "double", "bool", "timestamp[us]", "date32[day]", "decimal128(18, 12)", "decimal128(38, 12)",
    }  # fmt: skip


def test_an_unknown_table_is_named_with_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match="no table named 'request'; did you mean requests"):
        arrow_schema("request")


@pytest.mark.parametrize("found", METRICS, ids=lambda m: m.name)
def test_a_metric_reads_fields_that_its_events_have(found: object) -> None:
    assert isinstance(found, type(METRICS[0]))
    known = {field.name for field in msgspec.structs.fields(STRUCTS[found.kind])}
    used = {
        *found.dimensions,
        *(c.field for c in found.where),
        *(name.partition(".")[0] for name in found.value.split()),
    }
    assert used <= known


def test_metrics_of_one_failed_call() -> None:
    call = events.LlmCall(
        event_id="01a2081d-591e-762a-82b3-01af3e9561ae",
        timestamp=events.utc_now(),
        service="chat",
        status="error",
        http_status=429,
        latency_ms=12.5,
    )
    assert metric("llm.errors").contribution(call) == 1
    assert metric("llm.throttles").contribution(call) == 1
    assert metric("llm.partial").contribution(call) is None
    assert metric("llm.latency_ms").contribution(call) == 12.5
    assert metric("llm.cost_usd").contribution(call) is None
    assert metric("http.requests").contribution(call) is None
    assert metric("llm.tokens").contribution(call) is None


def test_a_metric_of_several_fields_is_their_sum_as_far_as_they_are_known() -> None:
    known: dict[str, Any] = {"event_id": "01a2081d-591e-762a-82b3-01af3e9561ae", "timestamp": events.utc_now()}
    known["service"] = "chat"
    assert metric("llm.tokens").contribution(events.LlmCall(**known, input_tokens=7, output_tokens=5)) == 12
    assert metric("llm.tokens").contribution(events.LlmCall(**known, input_tokens=7)) == 7


def test_metrics_of_one_sink_read_its_counts() -> None:
    run = events.Run(
        event_id="01a2081d-591e-762a-82b3-01af3e9561ae",
        timestamp=events.utc_now(),
        service="tollmeter",
        component="forward",
        sink="xray",
        counts={"acknowledged": 7, "dropped": 3, "dropped_late": 2, "dropped_sampled": 1, "held": 4},
        lag_ms=1500.0,
    )
    told = {each.name: found for each in METRICS if (found := each.contribution(run)) is not None}
    assert told == {
        "tollmeter.runs": 1, "tollmeter.lag_ms": 1500.0, "tollmeter.held": 4, "tollmeter.sent": 7,
        "tollmeter.dropped": 3, "tollmeter.dropped_late": 2, "tollmeter.dropped_sampled": 1,
    }  # fmt: skip
    assert metric("tollmeter.dropped_late").dimensions == ("service", "environment", "component", "sink")


@pytest.mark.parametrize("value", [0.0001, 0.5, 1.0, 12.34, 999.0, 86_400_000.0])
def test_a_bucket_stands_for_its_values_within_one_percent(value: float) -> None:
    assert value_of(bucket_of(value)) == pytest.approx(max(value, 0.001), rel=0.0100)


def test_settings_argument_beats_environment_beats_default() -> None:
    environ = {"TOLLMETER_SERVICE": "from-env", "DD_SERVICE": "from-dd", "TOLLMETER_MAX_STEPS": "5"}
    assert Settings.load(environ).service == "from-env"
    assert Settings.load(environ, service="given").service == "given"
    assert Settings.load({"DD_SERVICE": "from-dd"}).service == "from-dd"
    assert Settings.load(environ).max_steps == 5
    assert Settings.load({}).max_steps == 128


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("TOLLMETER_MODE", "fast", "one of auto, lean, otel"),
        ("TOLLMETER_MAX_STEPS", "-1", "a whole number, 0 or more"),
        ("TOLLMETER_SEGMENT_MAX_AGE_S", "0", "a positive number of seconds"),
        ("TOLLMETER_HEADERS", "tenant_id", "pairs such as"),
        ("TOLLMETER_SPOOL_MAX_BYTES", "many", "a size such as 64M"),
        ("TOLLMETER_FDATASYNC", "perhaps", "true or false"),
    ],
)
def test_a_bad_setting_names_the_value_and_what_was_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingError, match=f"{name}='{value}' is not allowed: expected {allowed}"):
        Settings.load({name: value})


def test_an_unknown_setting_is_refused_with_a_near_match() -> None:
    with pytest.raises(UnknownNameError, match="no setting named 'servise'; did you mean service"):
        Settings.load({}, servise="x")


def test_every_setting_has_a_name_of_ours_in_the_environment() -> None:
    assert all(row.env_names[0] == f"TOLLMETER_{name.upper()}" for name, row in ROWS.items())


def test_an_event_survives_its_line() -> None:
    step = events.Step(name="retrieve", start_ms=1.5, duration_ms=2.0)
    request = events.Request(
        event_id="01a2081d-591e-762a-82b3-01af3e9561ae", timestamp=events.utc_now(), service="chat", steps=[step]
    )
    assert events.decode(events.encode(request)) == request
