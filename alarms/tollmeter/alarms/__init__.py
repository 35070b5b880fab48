"""Alarms as code: one definition, rendered for CloudWatch and tried on the lake's history before it pages anyone."""

from __future__ import annotations

from tollmeter.alarms.backtesting import Backtest, Firing, backtest
from tollmeter.alarms.definition import Alarm, Signal, alarm_names, load_alarm, parse_alarm
from tollmeter.alarms.evaluate import State, states
from tollmeter.alarms.render_cloudformation import render_cloudformation

__all__ = [
    "Alarm",
    "Backtest",
    "Firing",
    "Signal",
    "State",
    "alarm_names",
    "backtest",
    "load_alarm",
    "parse_alarm",
    "render_cloudformation",
    "states",
]
