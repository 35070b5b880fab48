"""All commands in one place; each stands in the file of its name."""

from __future__ import annotations

import typer

from tollmeter.cli.alarms import alarms
from tollmeter.cli.dashboard import dashboard
from tollmeter.cli.dashboards import dashboards
from tollmeter.cli.demo import demo
from tollmeter.cli.deploy import deploy
from tollmeter.cli.doctor import doctor
from tollmeter.cli.etl import etl
from tollmeter.cli.forward import forward
from tollmeter.cli.importing import import_records
from tollmeter.cli.insights import insights
from tollmeter.cli.prices import prices
from tollmeter.cli.query import query
from tollmeter.cli.replay import replay
from tollmeter.cli.run import run
from tollmeter.cli.sql import sql

app = typer.Typer(
    name="tollmeter",
    help="Meter every token: observability and cost for LLM services on AWS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(run)
app.command()(dashboard)
app.command()(demo)
app.command()(doctor)
app.command()(forward)
app.command()(query)
app.command()(replay)
app.add_typer(sql, name="sql")
app.add_typer(alarms, name="alarms")
app.add_typer(prices, name="prices")
app.add_typer(dashboards, name="dashboards")
etl.command(name="import")(import_records)
app.add_typer(etl, name="etl")
app.add_typer(insights, name="insights")
app.add_typer(deploy, name="deploy")
