"""Events that are their own metrics: valid by the format's schema, and the same event again for the lake."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollmeter.etl.lines import Line
from tollmeter.etl.parse import Parsed, parse_line
from tollmeter.model.emf import EventLines, without_emf
from tollmeter.model.events import Evaluation, Event, LlmCall, Request, encode
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LINES = EventLines(Settings.load({}))


def a_call(**fields: Any) -> LlmCall:
    known: dict[str, Any] = {
        "service": "chat", "environment": "prod", "provider": "openai", "request_model": "gpt-4o", "team": "core",
        "input_tokens": 812, "output_tokens": 97, "latency_ms": 1234.5, "cost_usd": Decimal("0.0021"),
        "cost_status": "priced",
    }  # fmt: skip
    return LlmCall(event_id=new_event_id(), timestamp=NOW, **(known | fields))


def a_request(**fields: Any) -> Request:
    known: dict[str, Any] = {"service": "chat", "environment": "prod", "route": "/chat", "method": "POST"}
    return Request(event_id=new_event_id(), timestamp=NOW, **(known | fields))


def landed(line: bytes) -> Parsed:
    found = parse_line(Line(line.rstrip(b"\n"), len(line)), NOW)
    assert isinstance(found, Parsed)
    return found


def test_a_call_is_its_metrics_by_name_unit_and_dimensions() -> None:
    document = json.loads(LINES.encode(a_call()))
    head = document["_aws"]
    assert head["Timestamp"] == int(NOW.timestamp() * 1000)
    by_dimensions = {tuple(part["Dimensions"][0]): part for part in head["CloudWatchMetrics"]}
    assert set(by_dimensions) == {
        ("service", "environment", "provider", "request_model"),
        ("service", "environment", "provider", "request_model", "team"),
    }
    assert {part["Namespace"] for part in by_dimensions.values()} == {"Tollmeter"}
    units = {each["Name"]: each["Unit"] for part in by_dimensions.values() for each in part["Metrics"]}
    assert {name: (document[name], unit) for name, unit in units.items()} == {
        "llm.calls": (1, "Count"),
        "llm.input_tokens": (812, "Count"),
        "llm.output_tokens": (97, "Count"),
        "llm.tokens": (909, "Count"),
        "llm.latency_ms": (1234.5, "Milliseconds"),
        "llm.cost_usd": (0.0021, "None"),
    }
    assert document["request_model"] == "gpt-4o"
    assert "_event" not in document


def test_a_dimension_is_what_cloudwatch_takes_and_the_event_keeps_its_own() -> None:
    event = a_request(environment="", route="/Köln")
    document = json.loads(LINES.encode(event))
    assert (document["environment"], document["route"]) == ("none", "/K?ln")
    assert document["_event"] == {"environment": "", "route": "/Köln"}
    assert landed(LINES.encode(event))[:2] == (event, None)


def test_the_names_of_a_preset_are_there_besides() -> None:
    lines = EventLines(Settings.load({}, metric_preset="ai_platform", cloudwatch_namespace="Mine"))
    event = a_call()
    document = json.loads(lines.encode(event))
    spaces = {part["Namespace"]: part for part in document["_aws"]["CloudWatchMetrics"]}
    assert spaces["AIplatform"]["Dimensions"] == [["Model", "Environment"]]
    assert (document["Model"], document["Environment"], document["TokensUsed"]) == ("gpt-4o", "prod", 909)
    assert landed(lines.encode(event))[:2] == (event, None)


def test_an_event_without_metrics_is_a_plain_line() -> None:
    event = Evaluation(event_id=new_event_id(), timestamp=NOW, service="s", call_id=new_event_id(), name="n", score=1.0)
    assert LINES.encode(event) == encode(event)


def test_what_is_no_line_of_ours_keeps_its_members_as_extra() -> None:
    event = a_request()
    line = encode(event)[:-2] + b',"_aws":7,"more":1}\n'
    assert landed(line).event == event
    assert json.loads(landed(line).extra or "") == {"_aws": 7, "more": 1}
    assert without_emf({"_aws": b"{}"}) == {"_aws": b"{}"}  # type: ignore[dict-item]  # bytes stand for Raw here


@pytest.fixture(scope="module")
def schema(shared: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared / "schemas" / "emf" / "emf-schema.json").read_text())
    return found


texts = st.text(max_size=2000)
names = st.sampled_from(["service", "environment", "route", "provider", "request_model", "team", "tenant_id"])


@pytest.mark.shared_data
def test_lines_are_valid_by_the_schema(schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft7Validator(schema)

    @given(is_call=st.booleans(), fields=st.dictionaries(names, texts), tags=st.dictionaries(texts, texts, max_size=3))
    @settings(deadline=None, max_examples=100)
    def check(*, is_call: bool, fields: dict[str, str], tags: dict[str, str]) -> None:
        make = a_call if is_call else a_request
        known = {name: value for name, value in fields.items() if name in make().__struct_fields__}
        event: Event = make(**known, tags=tags)
        line = LINES.encode(event)
        document = json.loads(line)
        validator.validate(document)
        for part in document["_aws"]["CloudWatchMetrics"]:
            for name in part["Dimensions"][0]:
                assert document[name].isascii()
                assert 1 <= len(document[name]) <= 1024
                assert document[name].strip()
            assert all(isinstance(document[each["Name"]], int | float) for each in part["Metrics"])
        if b"\\u0000" not in line and all(len(value) <= 4096 for value in known.values()):
            assert landed(line).event == event
            assert landed(line).extra is None

    check()
