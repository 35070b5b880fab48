"""Every series on a board is one that the exporters emit: searches and queries are run on what they derive."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tollmeter.cli.app import app
from tollmeter.cli.dashboard_forms import rendered
from tollmeter.dashboards.platforms import BOARDS, Target, board, render
from tollmeter.dashboards.platforms.boards import Chart, Series, Table
from tollmeter.exporters.derive.cloudwatch import data, namespaces
from tollmeter.exporters.derive.datadog import tags
from tollmeter.exporters.derive.metrics import Aggregator
from tollmeter.exporters.sinks.stdout import log_record
from tollmeter.model.errors import SettingError, UnknownNameError, UsageError
from tollmeter.model.events import Event, LlmCall, Request, Run, encode
from tollmeter.model.ids import new_event_id
from tollmeter.model.insights import query
from tollmeter.model.metric_names import datadog_metric, preset
from tollmeter.model.names import DROP_REASONS
from tollmeter.model.settings import Settings

SETTINGS = Settings.load({}, region="eu-central-1", metric_preset="ai_platform", cloudwatch_namespace="Acme/LLM")
TARGET = Target.of(SETTINGS)
EACH_BOARD = pytest.mark.parametrize("name", list(BOARDS))


def events() -> list[Event]:
    """A call, a request and a report in which every counted thing happened."""
    who: dict[str, Any] = {"timestamp": datetime.now(UTC), "service": "chat", "environment": "production"}
    call = LlmCall(
        event_id=new_event_id(),
        **who,
        provider="openai",
        request_model="gpt-4o",
        team="search",
        tenant_id="acme",
        request_id="r1",
        status="error",
        error_type="RateLimitError",
        http_status=429,
        fallback_from="gpt-4o-mini",
        input_tokens=10,
        output_tokens=5,
        cache_read_tokens=4,
        cost_usd=Decimal("0.01"),
        cost_status="unpriced",
        latency_ms=900.0,
        ttft_ms=200.0,
    )
    counts = {"waiting_bytes": 9, "dropped": 1, "quarantined": 1} | {f"dropped_{reason}": 1 for reason in DROP_REASONS}
    return [
        call,
        LlmCall(event_id=new_event_id(), **who, provider="openai", request_model="gpt-4o", status="partial"),
        Request(
            event_id=new_event_id(),
            **who,
            route="/chat",
            status_code=500,
            error_type="ValueError",
            duration_ms=950.0,
            client_disconnected=True,
        ),
        Run(
            event_id=new_event_id(),
            timestamp=who["timestamp"],
            service="tollmeter",
            environment="production",
            component="forward",
            sink="s3",
            outcome="error",
            lag_ms=50.0,
            counts=counts,
        ),
    ]


def emitted_to_cloudwatch(aliases: bool = True) -> list[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of each metric, as the sink's own derivation has them."""
    chosen = preset("ai_platform")
    assert chosen
    aggregator = Aggregator(lambda _, value: value, chosen.cloudwatch if aliases else ())
    names = [alias.name for alias in chosen.cloudwatch]
    parts = namespaces(aggregator.points(events()), names, "Acme/LLM", chosen.namespace)
    return [
        (namespace, each["MetricName"], {pair["Name"]: pair["Value"] for pair in each["Dimensions"]})
        for namespace, part in parts
        for each in data(part, aggregator.sent)
    ]


def emitted_to_datadog() -> list[tuple[str, dict[str, str]]]:
    """Name and tags of each metric, as the sink's own derivation has them."""
    chosen = preset("ai_platform")
    assert chosen
    aggregator = Aggregator(lambda _, value: value, chosen.datadog)
    points, aliases = aggregator.points(events()), {alias.name for alias in chosen.datadog}
    return [
        (
            key.name if key.name in aliases else datadog_metric(key.name),
            dict(tag.split(":", 1) for tag in tags(key.dimensions)),
        )
        for key in (*points.sums, *points.values)
    ]


CHOICES = {"__service__": "chat", "__environment__": "production", "__model__": "gpt-4o"}


def found(search: str, emitted: list[tuple[str, str, dict[str, str]]]) -> list[str]:
    """The metrics that a search of CloudWatch finds: of that namespace, of just these dimensions, of these values."""
    parts = re.fullmatch(r"\{([^}]*)\} (.*)", search)
    assert parts, search
    schema, terms = parts.groups()
    namespace, *dimensions = re.findall(r'"([^"]*)"', schema)
    wanted = dict(re.findall(r'"?(\w+)"?="([^"]*)"', terms))
    name = wanted.pop("MetricName")
    return [
        each
        for space, each, labels in emitted
        if (space, each, set(labels)) == (namespace, name, set(dimensions)) and wanted.items() <= labels.items()
    ]


def searches(body: dict[str, Any]) -> Iterator[str]:
    """Every search of a body, after its variables have replaced what they stand for."""
    for widget in body["widgets"]:
        for [row] in widget["properties"].get("metrics", ()):
            yield from re.findall(r"SEARCH\('(.*?)', '", row["expression"])
    for variable in body["variables"]:
        yield variable["search"]


@EACH_BOARD
def test_every_search_finds_what_the_exporter_sends(name: str) -> None:
    body = render("cloudwatch", name, TARGET)
    patterns = {variable["pattern"] for variable in body["variables"]}
    text = json.dumps(body)
    assert patterns == {pattern for pattern in CHOICES if pattern in text}
    for pattern, value in CHOICES.items():
        text = text.replace(pattern, value)
    asked = list(searches(json.loads(text)))
    assert asked
    for search in asked:
        assert found(search, emitted_to_cloudwatch()), search


def test_what_nobody_sends_would_be_noticed() -> None:
    sent = emitted_to_cloudwatch()
    search = '{"Acme/LLM","service","environment","route"} MetricName="http.requests" service="chat"'
    assert found(search, sent) == ["http.requests"]
    assert not found(search.replace('"chat"', '"other"'), sent)
    assert not found(search.replace(',"route"', ""), sent)
    assert not found(search.replace("Acme/LLM", "Tollmeter"), sent)


@EACH_BOARD
def test_no_search_finds_what_is_of_another_service_or_environment(name: str) -> None:
    """But for reports of our own parts, which are of no service of the user's."""
    others = [
        (space, each, labels | {field: "another"})
        for space, each, labels in emitted_to_cloudwatch()
        for field in ("service", "environment", "Environment")
        if field in labels and (field, labels[field]) != ("service", "tollmeter")
    ]
    body = render("cloudwatch", name, replace(TARGET, service="chat", environment="production"))
    for search in searches(body):
        assert not found(search, others), search


@EACH_BOARD
def test_every_label_is_a_dimension_of_its_search(name: str) -> None:
    for widget in render("cloudwatch", name, TARGET)["widgets"]:
        for [row] in widget["properties"].get("metrics", ()):
            for dimension in re.findall(r"Dim\.(\w+)", row.get("label", "")):
                assert f'"{dimension}"' in row["expression"].split("}")[0]


@EACH_BOARD
def test_every_query_of_datadog_names_what_the_exporter_sends(name: str) -> None:
    document = render("datadog", name, TARGET)
    prefixes = {f"${each['name']}": each["prefix"] for each in document["template_variables"]}
    sent = emitted_to_datadog()
    asked = re.findall(r'"query": "(\w+:[\w.]+\{[^"]*)"', json.dumps(document))
    assert asked
    for text in asked:
        parts = re.fullmatch(r"\w+:([\w.]+)\{([^}]*)\}(?: by \{(.*)\})?(?:\.as_count\(\))?", text)
        assert parts, text
        metric, chosen, by = parts.groups()
        narrowed = {prefixes[each] for each in chosen.split(",") if each != "*"}
        tagged = [labels for each, labels in sent if each == metric]
        assert any(narrowed | set(by.split(",") if by else ()) <= set(labels) for labels in tagged), text
        # Every variable narrows what has its tag; reports of our own parts are of no service of the user's.
        own = {"service"} if any(labels.get("service") == "tollmeter" for labels in tagged) else set()
        assert narrowed == set(prefixes.values()) & {tag for labels in tagged for tag in labels} - own, text


def test_a_percentile_is_asked_of_a_distribution_and_a_sum_of_a_counter() -> None:
    with pytest.raises(UnknownNameError, match="p50, p95, p99"):
        Series("llm.latency_ms", "sum")
    with pytest.raises(UnknownNameError, match=r"statistic of llm\.calls"):
        Series("llm.calls", "p95")
    with pytest.raises(UnknownNameError, match=r"dimension of llm\.calls"):
        Chart("Calls by team", (Series("llm.calls", "sum"),), by=("team",))


def test_both_platforms_answer_the_same_questions() -> None:
    for name in BOARDS:
        ours = [each.title for section in board(name).sections for each in section.widgets]
        bare = Target(region="eu-central-1")
        amazon = [widget["properties"].get("title") for widget in render("cloudwatch", name, bare)["widgets"]]
        assert [title for title in amazon if title] == ours
        groups = [each["definition"].get("widgets", ()) for each in render("datadog", name, bare)["widgets"]]
        assert [each["definition"]["title"] for group in groups for each in group[1:]] == ours


def test_tables_ask_of_fields_that_the_logs_have() -> None:
    logged = {name for event in events() for name in log_record(encode(event)) or {}}
    tables = [each for name in BOARDS for section in board(name).sections for each in section.widgets]
    for table in (each for each in tables if isinstance(each, Table)):
        assert {table.by, *([table.measure] if table.measure else [])} <= logged
        assert table.by in query(table.insights).text


def test_a_service_and_environment_that_are_given_are_not_chosen_on_the_board() -> None:
    body = render("cloudwatch", "cost", Target("chat", "", region="eu-central-1"))
    text = json.dumps(body)
    assert [variable["id"] for variable in body["variables"]] == ["environment"]
    assert "__service__" not in text
    assert "SOURCE '/tollmeter/chat'" in text
    [_, *_, name] = Target("chat bot", "prod", region="x").named("cost").split("-", 2)
    assert name == "chat_bot-prod"
    variables = render("datadog", "cost", Target("Chat", "prod"))["template_variables"]
    assert [each["defaults"] for each in variables] == [["chat"], ["prod"], ["*"]]


def test_an_empty_environment_is_what_the_exporter_calls_it() -> None:
    """CloudWatch takes no empty dimension, so that a service without an environment has one called none."""
    body = render("cloudwatch", "cost", Target("chat", "none", "Acme/LLM", "eu-central-1"))
    spoken = [
        (space, name, labels | {"environment": "none"}) for space, name, labels in emitted_to_cloudwatch(aliases=False)
    ]
    assert all(found(search, spoken) for search in searches(body))
    assert 'coalesce(environment, "none") = "none"' in json.dumps(body).replace('\\"', '"')


@pytest.mark.parametrize("field", ["service", "environment", "namespace", "log_group"])
def test_a_value_that_no_search_can_hold_is_refused(field: str) -> None:
    with pytest.raises(SettingError, match=field):
        replace(TARGET, **{field: "a'b"})  # type: ignore[arg-type] # each of these fields is text


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    bare = Target()
    with pytest.raises(UsageError, match="--region"):
        rendered("cloudwatch", "json", ["cost"], bare)
    with pytest.raises(UnknownNameError, match="did you mean cost"):
        rendered("datadog", "json", ["cots"], bare)
    with pytest.raises(UnknownNameError, match="json, terraform"):
        rendered("datadog", "cloudformation", ["cost"], bare)
    with pytest.raises(UnknownNameError, match="cloudwatch, datadog"):
        rendered("grafana", "json", ["cost"], bare)
    marked = ((datetime(2026, 1, 1, tzinfo=UTC), "v1"),)
    with pytest.raises(UsageError, match="--deployed"):
        rendered("datadog", "json", ["cost"], Target(deployed=marked))
    output = tmp_path / "cost.json"
    command = ["dashboards", "render", "cloudwatch", "--board", "cost", "--service", "chat", "--region", "eu-central-1"]
    result = CliRunner().invoke(app, [*command, "--deployed", "2026-11-25T05:00:00+01:00=v1", "-o", str(output)])
    assert result.exit_code == 0, result.output
    marks = [
        widget["properties"]["annotations"]["vertical"]
        for widget in json.loads(output.read_text())["widgets"]
        if "annotations" in widget["properties"]
    ]
    assert marks
    assert all(each == [{"value": "2026-11-25T04:00:00Z", "label": "v1"}] for each in marks)
    listed = CliRunner().invoke(app, ["dashboards", "list", "--json"])
    assert [each["name"] for each in json.loads(listed.output)] == ["cost", "latency", "reliability"]
