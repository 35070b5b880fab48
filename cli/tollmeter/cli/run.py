"""`tollmeter run -- CMD`: instrument a service without touching its code."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from tollmeter.cli.options import HomeOption
from tollmeter.model.errors import UsageError

_AUTOLOAD = Path(__file__).parent / "autoload"


def run(
    command: Annotated[list[str], typer.Argument(help="The command that starts the service.")],
    home: HomeOption = None,
    service: Annotated[str, typer.Option(help="Name of the service.")] = "",
    mode: Annotated[str, typer.Option(help="auto, lean or otel.")] = "",
) -> None:
    """Start a service with Tollmeter in it: every FastAPI or Starlette app it creates is instrumented.

    ```
    tollmeter run -- uvicorn app:app
    tollmeter run --service chat -- gunicorn -k uvicorn.workers.UvicornWorker app:app
    ```

    Settings come from `TOLLMETER_*`; the process is replaced, so signals reach the service as before.
    """
    program = shutil.which(command[0])
    if program is None:
        raise UsageError(f"no program named {command[0]!r} on the PATH")
    paths = [str(_AUTOLOAD), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    for name, value in (("HOME", str(home or "")), ("SERVICE", service), ("MODE", mode)):
        if value:
            os.environ[f"TOLLMETER_{name}"] = value
    os.execv(program, command)  # noqa: S606  the service takes this process's place, so that signals reach it
