"""`tollmeter forward`: ships the spool to the sinks."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tollmeter.cli.options import HomeOption, JsonOption, print_json
from tollmeter.model.errors import LockedError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

if TYPE_CHECKING:
    from tollmeter.exporters.forwarder import Forwarder
    from tollmeter.exporters.report import Report

_DRAIN_S = 60.0

OnceOption = Annotated[bool, typer.Option("--once", help="Ship what is closed or left behind, then stop.")]
SinkOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sink",
        help="Where to ship: raw, s3, firehose, stdout; may be given several times.",
        show_default="TOLLMETER_SINKS",
    ),
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Ship nothing: say what each sink would do, and what stands in the way.")
]
HealthPortOption = Annotated[
    int | None,
    typer.Option("--health-port", help="Answer GET /health on this port.", show_default="TOLLMETER_HEALTH_PORT"),
]
ParentOption = Annotated[
    bool,
    typer.Option("--exit-with-parent", help="Stop, after shipping what it left, when the parent process is gone."),
]
ParentPidOption = Annotated[
    int | None,
    typer.Option("--parent-pid", help="The parent to watch.", show_default="the process that started this one"),
]


def forward(
    home: HomeOption = None,
    *,
    once: OnceOption = False,
    sink: SinkOption = None,
    check: CheckOption = False,
    health_port: HealthPortOption = None,
    exit_with_parent: ParentOption = False,
    parent_pid: ParentPidOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ship what services wrote to the spool: to the raw folder, and as structured logs to stdout.

    Each sink keeps its own place, so that one that is down holds no other back. A segment is deleted when every sink
    has passed it. One forwarder works on a home at a time. SIGTERM and SIGINT end it once all is passed and no service
    writes, or when TOLLMETER_FORWARD_GRACE_S are over; then it prints what it did and what it left (on stderr with
    `--sink stdout`). Exits 1 when a sink was failing at the end.

    - `tollmeter forward` runs until it is stopped, beside the service.

    - `tollmeter forward --once` ships what lies there, for cron and for trying out.

    - `tollmeter forward --check` says whether it would work.

    - `tollmeter forward --sink raw --sink stdout` feeds the lake and a log agent.
    """
    settings = Settings.load(sinks=tuple(sink) if sink else None, health_port=health_port)
    place = Home.resolve(home or settings.home or None)
    if check:
        _check(place, settings, as_json=as_json)
        return
    report = _forward(place, settings, parent=_parent(parent_pid, wanted=exit_with_parent), once=once)
    if report is None:
        return
    _print(report, as_json=as_json, to_stderr="stdout" in settings.sinks or exit_with_parent)
    report.check()
    if report.errors:
        raise typer.Exit(1)


def _check(home: Home, settings: Settings, *, as_json: bool) -> None:
    from tollmeter.exporters.checking import check

    found = list(check(home, settings))
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        for each in found:
            print(f"{each.level:<7} {each.what}: {each.text}")
    if any(each.level == "finding" for each in found):
        raise typer.Exit(1)


def _forward(home: Home, settings: Settings, *, parent: int | None, once: bool) -> Report | None:
    from tollmeter.exporters.forwarder import Forwarder

    forwarder = Forwarder(home, settings)
    if once:
        return forwarder.run_once(final=True)
    stop = threading.Event()
    with _signals_set(stop):
        if parent is None:
            return forwarder.run(stop)
        threading.Thread(target=_watch, args=(parent, stop), daemon=True).start()
        return _stand_by(forwarder, stop, settings)


def _stand_by(forwarder: Forwarder, stop: threading.Event, settings: Settings) -> Report | None:
    # Several workers of one service each start a forwarder; one works, and another takes over when its worker is gone.
    while True:
        try:
            return forwarder.run(stop, grace_s=max(_DRAIN_S, settings.forward_grace_s), hand_over=True)
        except LockedError:
            if stop.is_set():
                return None
            stop.wait(settings.forward_interval_s)


def _parent(pid: int | None, *, wanted: bool) -> int | None:
    return (pid or os.getppid()) if wanted else None


def _watch(parent: int, stop: threading.Event) -> None:
    while os.getppid() == parent and not stop.wait(0.5):
        pass
    stop.set()


@contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    # Waited for in a thread: a handler could interrupt `stop.wait` where it holds the very lock that `stop.set` needs.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    def wait() -> None:
        signal.sigwait(signals)
        stop.set()

    threading.Thread(target=wait, name="tollmeter-signals", daemon=True).start()
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def _print(report: Report, *, as_json: bool, to_stderr: bool) -> None:
    if as_json and not to_stderr:
        print_json(asdict(report))
    elif as_json:
        import json

        print(json.dumps(asdict(report)), file=sys.stderr)
    else:
        for line in report.lines():
            print(line, file=sys.stderr if to_stderr else sys.stdout)
