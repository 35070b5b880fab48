"""Alarms as code: one definition, rendered for CloudWatch and tried on the lake's history before it pages anyone."""

from __future__ import annotations

from tollmeter.alarms.backtesting import Backtest, Firing, backtest
from tollmeter.alarms.definition import Alarm, Signal, alarm_names, load_alarm, parse_alarm
from tollmeter.alarms.evaluate import Rule, State, Verdict, judge
from tollmeter.alarms.explaining import Explanation, explain
from tollmeter.alarms.render_cloudformation import render_cloudformation

__all__ = [
    "Alarm",
    "Backtest",
    "Explanation",
    "Firing",
    "Rule",
    "Signal",
    "State",
    "Verdict",
    "alarm_names",
    "backtest",
    "explain",
    "judge",
    "load_alarm",
    "parse_alarm",
    "render_cloudformation",
]
