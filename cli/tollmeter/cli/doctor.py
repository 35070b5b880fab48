"""`tollmeter doctor`: what works, what does not, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, replace

import typer

from tollmeter.cli.options import HomeOption, JsonOption, console, print_json
from tollmeter.model.home import Home
from tollmeter.model.secrets import scrub
from tollmeter.model.settings import Settings

_MARKS = {"ok": "[green]ok     [/]", "note": "[blue]note   [/]", "finding": "[yellow]finding[/]"}


def doctor(home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """Say where events go and why, which mode fits, whether a first event was seen, and what was lost.

    Run it in the service's environment, so that it reads the same settings. Exits 1 when something wants attention.
    """
    from tollmeter.cli.checks import CHECKS

    place, settings = Home.resolve(home), Settings.load()
    findings = [replace(finding, text=scrub(finding.text)) for check in CHECKS for finding in check(place, settings)]
    if as_json:
        print_json({"home": place.path, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            console.print(
                f"{_MARKS[finding.level]} [bold]{finding.check}[/]: {finding.text}", highlight=False, soft_wrap=True
            )
    if any(finding.level == "finding" for finding in findings):
        raise typer.Exit(1)
