"""Every sink down in every way, in turn and together, beside a service under load.

Nothing of the durable path is lost, and every line of every sink is accounted for. What the service feels of it is
measured and printed at the size of `make soak`, not asserted, for the machine is shared.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from serving import free_port, served, stop
from sink_doubles import MOODS, OF_SINK, WELL, doubles, resident_bytes

from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.sinks import SINKS
from tollmeter.model.events import Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings
from tollmeter.model.spool import close_segment, create_segment, service_folder

SECONDS = float(os.environ.get("TOLLMETER_OUTAGE_S", "1.5"))
SOAK_S = 10
RECOVERY_S = 180
MOST_GROWTH = 96 << 20
AWS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-central-1"}
QUICK = {
    "TOLLMETER_FORWARD_INTERVAL_S": "0.1",
    "TOLLMETER_METRIC_INTERVAL_S": "0.3",
    "TOLLMETER_SEGMENT_MAX_AGE_S": "0.5",
    "TOLLMETER_TRACE_WAIT_S": "1",
    "TOLLMETER_FORWARD_GRACE_S": "90",
}
LOAD = """
import http.client, sys, threading, time
host, path, each_s = sys.argv[1], sys.argv[2], 4 / float(sys.argv[3])
out = open(path, "w")
def work(number):
    connection, due = http.client.HTTPConnection(host, timeout=20), time.monotonic() + number * each_s / 4
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        began = time.monotonic()
        connection.request("GET", "/ping")
        answer = connection.getresponse()
        answer.read()
        out.write(f"{began} {time.monotonic() - began} {answer.status} {answer.headers['x-request-id']}\\n")
        out.flush()
        due = max(due + each_s, time.monotonic() - 1)
for number in range(4):
    threading.Thread(target=work, args=(number,)).start()
"""


def test_every_sink_has_a_double() -> None:
    assert set(OF_SINK) == set(SINKS)


class Answers:
    """What the load got: one line each of start, seconds, status and request id."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[tuple[float, float, str, str]]:
        rows = [line.split() for line in self._path.read_text().split("\n")[:-1]]
        return [(float(began), float(took), status, request) for began, took, status, request in rows]

    def p99_ms(self, span: tuple[float, float]) -> float:
        took = [took for began, took, _, _ in self.all() if span[0] <= began < span[1]]
        return round(1000 * statistics.quantiles(took, n=100)[98], 2)


@contextmanager
def loaded(url: str, path: Path, rate: float) -> Iterator[Answers]:
    host = url.removeprefix("http://")
    process = subprocess.Popen([sys.executable, "-c", LOAD, host, str(path), str(rate)])
    try:
        while not (path.exists() and path.stat().st_size):
            assert process.poll() is None
            time.sleep(0.02)
        yield Answers(path)
    finally:
        process.kill()
        process.wait()


@contextmanager
def forwarding(home: Home, found: dict[str, Any], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    env = os.environ | AWS | QUICK | {"AWS_EC2_METADATA_DISABLED": "true", "TOLLMETER_SINKS": ",".join(SINKS)}
    for double in found.values():
        env |= double.env
    command = [sys.executable, "-m", "tollmeter.cli.main", "forward", "--json", "--health-port", str(port)]
    with (folder / "forward.log").open("wb") as log:
        process = subprocess.Popen([*command, "--home", home.path], env=env, stdout=found["stdout"].write, stderr=log)
    try:
        yield process, port
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def standing(port: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        sinks: dict[str, Any] = json.loads(connection.getresponse().read())["sinks"]
    except OSError:
        return {}
    finally:
        connection.close()
    return sinks


def until_all_is_passed(port: int) -> None:
    deadline = time.monotonic() + RECOVERY_S
    while time.monotonic() < deadline:
        sinks = standing(port)
        if (
            sinks
            and not any(sink["error"] for sink in sinks.values())
            and max(s["lag_ms"] for s in sinks.values()) < 5000
        ):
            return
        time.sleep(0.2)
    raise AssertionError(f"not recovered: {standing(port)}")


def suffer(found: dict[str, Any], names: list[str], seconds: float) -> tuple[float, float]:
    """Put doubles in every mood for a share of the time; returns when that was."""
    began = time.monotonic()
    for mood in MOODS:
        for name in names:
            found[name].turn(mood)
        time.sleep(seconds / len(MOODS))
    for name in names:
        found[name].turn(WELL)
    return began, time.monotonic()


@pytest.mark.crash
@pytest.mark.slow
def test_no_outage_loses_or_doubles_anything(tmp_path: Path, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.path.mkdir()
    spans: dict[str, tuple[float, float]] = {}
    rss: dict[str, int] = {}
    with doubles(home) as found, served(tmp_path, home, env=QUICK) as (service, url):
        with forwarding(home, found, tmp_path) as (forwarder, port):
            with loaded(url, tmp_path / "answers", 100) as answers:
                until_all_is_passed(port)
                for name in ("healthy", "healthy again"):
                    spans[name] = (time.monotonic(), time.monotonic() + max(SECONDS, 2))
                    time.sleep(max(SECONDS, 2))
                rss["healthy"] = resident_bytes(forwarder.pid)
                for name in found:
                    spans[name] = suffer(found, [name], SECONDS)
                    rss[name] = resident_bytes(forwarder.pid)
                spans["all"] = suffer(found, list(found), SECONDS)
                rss["all"] = resident_bytes(forwarder.pid)
            stop(service)
            until_all_is_passed(port)
            forwarder.send_signal(signal.SIGTERM)
            forwarder.wait(120)
        log = (tmp_path / "forward.log").read_text()
        report = json.loads(log.splitlines()[-1])
        asked = [row for row in answers.all() if row[2] == "200"]
        assert len(asked) == len(answers.all())
        assert max(rss.values()) - rss["healthy"] < MOST_GROWTH
        judge(found, report, [request for *_, request in asked])
    if SECONDS >= SOAK_S:
        figures = {name: answers.p99_ms(span) for name, span in spans.items()}
        told = {name: round(size / 2**20, 1) for name, size in rss.items()}
        held = {sink: {what: report["counts"].get(f"{sink}.{what}", 0) for what in WHAT} for sink in SINKS}
        with capsys.disabled():
            print(f"\nrequests {len(asked)}\np99 ms {figures}\nrss MiB {told}\n{json.dumps(held)}")  # noqa: T201  the figures of docs/soak.md


WHAT = ("produced", "acknowledged", "dropped", "in_doubt", "errors")


def judge(found: dict[str, Any], report: dict[str, Any], requests: list[str]) -> None:
    counts = {sink: {what: report["counts"].get(f"{sink}.{what}", 0) for what in WHAT} for sink in SINKS}
    written = counts["s3"]["produced"]
    assert written >= len(set(requests)) > 100
    assert sum(told["errors"] for told in counts.values()) > 0
    for sink, told in counts.items():
        # A short outage may pass between two tries.
        assert told["errors"] > 0 or SECONDS < SOAK_S, f"{sink} never felt its outage"
        assert told["produced"] == told["acknowledged"] + told["dropped"] + told["in_doubt"], sink
        assert told["produced"] == written, sink
    assert (report["left"], report["held"]) == ({}, {})
    for sink in ("raw", "s3", "firehose"):
        assert counts[sink]["acknowledged"] == written
        assert len(set(found[sink].ids())) == written
    for sink in ("raw", "s3"):
        assert max(Counter(found[sink].ids()).values()) == 1
    assert len(set(found["logs"].ids())) >= counts["cloudwatch_logs"]["acknowledged"]
    for sink, double in (("cloudwatch_metrics", "metrics"), ("cloudwatch_emf", "logs")):
        arrived = sum(found[double].by_minute("http.requests").values())
        told = counts[sink]
        assert told["acknowledged"] <= arrived <= told["acknowledged"] + told["in_doubt"], sink
    found["statsd"].settle()
    told, arrived = counts["datadog_metrics"], found["statsd"].total("tollmeter.http.requests")
    assert told["acknowledged"] <= arrived <= told["acknowledged"] + told["in_doubt"]
    for sink, double in (("otlp", "otlp"), ("datadog_traces", "agent")):
        told, arrived = counts[sink], len({span.span_id for span in found[double].spans})
        assert told["acknowledged"] <= arrived <= told["acknowledged"] + told["in_doubt"], sink
    assert len(found["xray"].documents) >= counts["xray"]["acknowledged"]


@pytest.mark.crash
def test_a_backlog_of_ten_minutes_moves_no_current_point(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.path.mkdir()
    now = datetime.now(UTC)
    moments = [now - timedelta(seconds=10 * step) for step in range(60, -1, -1)]
    segment = create_segment(service_folder(home.spool, "svc"))
    for moment in moments:
        event = Request(event_id=new_event_id(), timestamp=moment, service="svc", route="/ping", status_code=200)
        os.write(segment.fd, encode(event))
    close_segment(segment)
    with doubles(home) as found:
        for name, value in (AWS | found["logs"].env | found["metrics"].env).items():
            monkeypatch.setenv(name, value)
        settings = Settings.load({}, sinks=("cloudwatch_metrics", "cloudwatch_emf"), region=AWS["AWS_REGION"])
        Forwarder(home, settings).run_once().check()
        expected = Counter(int(moment.timestamp()) // 60 for moment in moments)
        assert found["metrics"].by_minute("http.requests") == expected
        assert found["logs"].by_minute("http.requests") == expected
