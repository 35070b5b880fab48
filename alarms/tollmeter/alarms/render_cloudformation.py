"""Alarms as a CloudFormation template: the same definitions always give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from tollmeter.alarms.definition import Alarm, Comparison, MissingData
from tollmeter.model.metrics import metric

DEFAULT_NAMESPACE: Final = "AIplatform"

_SHARE: Final = "share"
_OF: Final = "total"
_SIGNAL: Final = "signal"
_COMPARISON: Final[dict[Comparison, str]] = {
    "greater_than": "GreaterThanThreshold",
    "greater_or_equal": "GreaterThanOrEqualToThreshold",
    "less_than": "LessThanThreshold",
    "less_or_equal": "LessThanOrEqualToThreshold",
}
_MISSING: Final[dict[MissingData, str]] = {
    "breaching": "breaching",
    "not_breaching": "notBreaching",
    "ignore": "ignore",
    "missing": "missing",
}


def render_cloudformation(alarms: Iterable[Alarm], namespace: str = DEFAULT_NAMESPACE) -> str:
    """A template in JSON with one `AWS::CloudWatch::Alarm` each, ready for `aws cloudformation deploy`.

    Its parameters are the SNS topic, the metric namespace, and one per dimension that an alarm is bound to.
    """
    chosen = sorted(alarms, key=lambda alarm: alarm.name)
    document = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Alarms of Tollmeter, rendered from their definitions; change those, not this file.",
        "Parameters": _parameters(chosen, namespace),
        "Resources": {_pascal(alarm.name): _resource(alarm) for alarm in chosen},
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def expression(alarm: Alarm) -> str:
    """The signal in CloudWatch's metric math, in percent; FILL, since a minute without failures has no datapoint."""
    return f"IF({_OF} >= {alarm.min_traffic}, 100 * FILL({_SHARE}, 0) / {_OF}, 0)"


def _parameters(alarms: list[Alarm], namespace: str) -> dict[str, Any]:
    dimensions = dict.fromkeys(name for alarm in alarms for name in alarm.dimensions)
    return {
        "AlarmTopicArn": {"Type": "String", "Description": "ARN of the SNS topic that alarms notify."},
        "Namespace": {"Type": "String", "Default": namespace, "Description": "CloudWatch namespace of the metrics."},
        **{
            _pascal(name): {"Type": "String", "Description": f"Value of the dimension {name} that alarms watch."}
            for name in dimensions
        },
    }


def _resource(alarm: Alarm) -> dict[str, Any]:
    topic = [{"Ref": "AlarmTopicArn"}]
    name = "-".join([f"${{{_pascal(dimension)}}}" for dimension in alarm.dimensions] + [alarm.name])
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": {"Fn::Sub": name},
            "AlarmDescription": f"{alarm.description} Severity: {alarm.severity}. Runbook: {alarm.runbook}",
            "ActionsEnabled": True,
            "AlarmActions": topic,
            "OKActions": topic,
            "ComparisonOperator": _COMPARISON[alarm.comparison],
            "Threshold": alarm.threshold,
            "EvaluationPeriods": alarm.evaluation_periods,
            "DatapointsToAlarm": alarm.datapoints_to_alarm,
            "TreatMissingData": _MISSING[alarm.missing_data],
            "Metrics": [
                _math(alarm),
                _metric(alarm, _SHARE, alarm.signal.share),
                _metric(alarm, _OF, alarm.signal.of),
            ],
            "Tags": [
                {"Key": "tollmeter:alarm", "Value": alarm.name},
                {"Key": "tollmeter:severity", "Value": alarm.severity},
            ],
        },
    }


def _math(alarm: Alarm) -> dict[str, Any]:
    label = f"{alarm.signal.share} in % of {alarm.signal.of}"
    return {"Id": _SIGNAL, "Expression": expression(alarm), "Label": label, "ReturnData": True}


def _metric(alarm: Alarm, identifier: str, name: str) -> dict[str, Any]:
    dimensions = [{"Name": dimension, "Value": {"Ref": _pascal(dimension)}} for dimension in alarm.dimensions]
    return {
        "Id": identifier,
        "MetricStat": {
            "Metric": {"Namespace": {"Ref": "Namespace"}, "MetricName": name, "Dimensions": dimensions},
            "Period": alarm.period_s,
            "Stat": "Sum",
            "Unit": metric(name).unit,
        },
        "ReturnData": False,
    }


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
