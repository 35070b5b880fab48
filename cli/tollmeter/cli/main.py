"""Entry point of `tollmeter`: turns errors of the tree into one line and an exit code."""

from __future__ import annotations

import json
import os
import sys

from tollmeter.model.errors import MissingExtraError, TollmeterError


def main() -> None:
    """Run the command line; exits 0 when fine, 1 on a finding, 2 on wrong usage."""
    try:
        _app()
    except TollmeterError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader (head, less) left; the descriptor is replaced so that the interpreter's last flush is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _app() -> None:
    try:
        import rich
        import typer
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "cli") from error
    del rich, typer
    from tollmeter.cli.app import app

    app()


def _complain(error: TollmeterError) -> None:
    if "--json" in sys.argv:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}), file=sys.stderr)
    else:
        print(f"tollmeter: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
