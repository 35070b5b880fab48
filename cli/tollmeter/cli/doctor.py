"""`tollmeter doctor`: what works, what does not, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer

from tollmeter.cli.options import HomeOption, JsonOption, console, print_json
from tollmeter.model.home import Home
from tollmeter.model.secrets import scrub
from tollmeter.model.settings import Settings

_MARKS = {"ok": "[green]ok     [/]", "note": "[blue]note   [/]", "finding": "[yellow]finding[/]"}


AppOption = Annotated[
    str, typer.Option("--app", help="The app, as uvicorn takes it (service:app): import it, and look at it as well.")
]


def doctor(home: HomeOption = None, *, app: AppOption = "", as_json: JsonOption = False) -> None:
    """Say where events go and why, which mode fits, whether a first event was seen, and what was lost.

    Run it in the service's environment, so that it reads the same settings. Exits 1 when something wants attention.
    """
    from tollmeter.cli.checks import CHECKS

    place, settings = Home.resolve(home), Settings.load()
    found = [finding for check in CHECKS for finding in check(place, settings)]
    if app:
        from tollmeter.cli.app_checks import look_at

        found += look_at(app)
    findings = [replace(finding, text=scrub(finding.text)) for finding in found]
    if as_json:
        print_json({"home": place.path, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            console.print(
                f"{_MARKS[finding.level]} [bold]{finding.check}[/]: {finding.text}", highlight=False, soft_wrap=True
            )
    if any(finding.level == "finding" for finding in findings):
        raise typer.Exit(1)
