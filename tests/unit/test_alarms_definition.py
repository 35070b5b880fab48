"""Alarm definitions: what is read, and how a slip is answered."""

from __future__ import annotations

import pytest

from tollmeter.alarms import Signal, alarm_names, load_alarm, parse_alarm
from tollmeter.model.errors import DefinitionError, UnknownNameError
from tollmeter.model.metrics import METRICS

TEXT = """name: example
description: An example.
signal:
  share: llm.errors
  of: llm.calls
dimensions: [service, environment]
comparison: greater_than
threshold: 5
period_s: 60
evaluation_periods: 5
datapoints_to_alarm: 3
min_traffic: 20
missing_data: not_breaching
severity: page
runbook: https://example.com/runbook
"""


def changed(before: str, after: str) -> str:
    assert before in TEXT
    return TEXT.replace(before, after)


def test_a_definition_is_read() -> None:
    alarm = parse_alarm(TEXT, "example.yaml")
    assert alarm.signal == Signal("llm.errors", "llm.calls")
    assert (alarm.threshold, alarm.evaluation_periods, alarm.datapoints_to_alarm) == (5, 5, 3)
    assert alarm.dimensions == ("service", "environment")


@pytest.mark.parametrize("name", alarm_names())
def test_shipped_definitions_are_named_as_their_files(name: str) -> None:
    alarm = load_alarm(name)
    known = {metric.name for metric in METRICS}
    assert alarm.name == name
    assert {alarm.signal.share, alarm.signal.of} <= known


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("threshold: 5\n", "threshold: high\n", r"line 8: threshold: 'high' is not allowed: expected a number"),
        ("threshold: 5\n", "threshold: 101\n", r"line 8: threshold: 101 .* expected a number from 0 to 100"),
        ("threshold: 5\n", "threshold: .nan\n", r"line 8: threshold: nan is not allowed"),
        ("threshold: 5\n", "threshold: true\n", r"line 8: threshold: True is not allowed"),
        ("alarm: 3", "alarm: 6", r"line 11: datapoints_to_alarm: 6 .* expected a whole number from 1 to 5"),
        ("period_s: 60", "period_s: 61", r"line 9: period_s: 61 is not allowed: expected one of 60, 300, 900, 3600"),
        ("not_breaching", "good", r"line 13: .* expected one of breaching, not_breaching, ignore, missing"),
        ("greater_than", "above", r"line 7: comparison: 'above' .* one of greater_than, greater_or_equal"),
        ("severity: page", "severity: [page]", r"line 14: severity: \['page'\] is not allowed: expected one of page"),
        ("name: example", "name: Example!", r"line 1: name: 'Example!' is not allowed"),
        ("https://example.com/runbook", "wiki", r"line 15: runbook: 'wiki' is not allowed: expected an http"),
        ("[service, environment]", "[service, route]", r"line 6: .* expected a list of some of service, environment"),
        ("[service, environment]", "[service, service]", r"line 6: dimensions"),
        ("[service, environment]", "[]", r"line 6: dimensions"),
        ("severity: page", "severety: page", r"line 1: leaving out severity is not allowed: expected the key severity"),
        ("severity: page", "severity: page\nnote: x", r"line 15: key 'note' is not allowed: expected comparison, data"),
        ("  of: llm.calls", "  of: llm.calls\n  on: x", r"line 6: key 'on' is not allowed: expected of, share"),
        ("severity: page", "severity: page\nseverity: ticket", r"line 15: giving severity twice is not allowed"),
        ("signal:\n  share: llm.errors\n  of: llm.calls", "signal: llm.errors", r"line 3: signal: .* a mapping"),
        ("of: llm.calls", "of: llm.latency_ms", r"line 5: of: 'llm.latency_ms' .* expected a metric that is a counter"),
        ("description: An example.", "description: ''", r"line 2: description: '' is not allowed: expected text"),
        ("[service", "[service: {", r"example.yaml, line \d+: .* expected YAML"),
    ],
)  # fmt: skip
def test_a_slip_is_named_by_line_value_and_what_is_allowed(before: str, after: str, fault: str) -> None:
    with pytest.raises(DefinitionError, match=fault) as caught:
        parse_alarm(changed(before, after), "example.yaml")
    assert str(caught.value).startswith("example.yaml, line ")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match="expected keys and values"):
        parse_alarm(text, "example.yaml")


def test_an_unknown_metric_is_named_with_its_neighbours() -> None:
    text = changed("llm.errors", "llm.error")
    with pytest.raises(
        UnknownNameError, match=r"no metric \(example.yaml, line 4\) named 'llm.error'; did you mean llm"
    ):
        parse_alarm(text, "example.yaml")


def test_an_unknown_alarm_is_named() -> None:
    with pytest.raises(UnknownNameError, match="no alarm named 'llm_eror_rate'; did you mean llm_error_rate"):
        load_alarm("llm_eror_rate")
