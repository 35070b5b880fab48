"""Figures that need more than a sum: decompositions, intervals, forecasts, anomalies. Pure, and without Dash.

statsmodels and what it brings along are imported where they are used, for that takes more than a second.
"""
