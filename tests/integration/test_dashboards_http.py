"""What stands around the dashboard's pages: gate, headers, health, the log, the server that many reach."""

from __future__ import annotations

import json
import logging
import re
import shutil
import signal
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from flask.testing import FlaskClient
from issuer import AUDIENCE, Issuer, issuing

from tollmeter.dashboards.access import LOCAL, viewer
from tollmeter.dashboards.access_log import JsonLines
from tollmeter.dashboards.app import create_app
from tollmeter.dashboards.health import Health
from tollmeter.dashboards.lake import Lake
from tollmeter.model.errors import AccessError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.sql.named import parse


def _lakes() -> Any:
    # Test folders are no packages, and importlib mode puts none of them on the path.
    spec = spec_from_file_location("lakes", Path(__file__).parents[1] / "browser" / "lakes.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lakes = _lakes()
COMMAND = [sys.executable, "-m", "tollmeter.cli.main", "dashboard", "--port", "0", "--json"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home(tmp_path_factory.mktemp("lake") / "home")
    lakes.fill(made, datetime(2026, 11, 23, 10), calls=60, hours=48)  # noqa: DTZ001 - the lake's times have no zone
    return made


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture(scope="module")
def local(home: Home) -> FlaskClient:
    client: FlaskClient = create_app(home, Settings.load({})).server.test_client()
    return client


@pytest.fixture(scope="module")
def signed(home: Home, issuer: Issuer) -> FlaskClient:
    known = {"auth_issuer": issuer.url, "auth_audience": AUDIENCE, "dashboard_proxies": "1"}
    client: FlaskClient = create_app(home, Settings.load({}, **known, dashboard_prefix="/meter")).server.test_client()
    return client


def test_nothing_but_health_answers_whoever_has_not_signed_in(signed: FlaskClient) -> None:
    rules = [rule for rule in signed.application.url_map.iter_rules() if rule.endpoint != "static"]
    assert len(rules) > 8
    for rule in rules:
        path = re.sub(r"<[^>]*>", "x", rule.rule)
        for method in (rule.methods or set()) - {"OPTIONS"}:
            status = signed.open(path, method=method, json={} if method == "POST" else None).status_code
            assert status == (200 if path == "/livez" else status if path == "/healthz" else 401), (method, path)
    for path in ("/", "/meter/", "/meter/assets/tollmeter.css", "/meter/anything", "/healthz/../meter/", "/livez/x"):
        assert signed.get(path).status_code == 401, path
    assert signed.get("/healthz").status_code in (200, 503)


def test_a_token_opens_the_pages_below_the_prefix(signed: FlaskClient, issuer: Issuer) -> None:
    headers = {"Authorization": f"Bearer {issuer.token()}"}
    page = signed.get("/meter/", headers=headers)
    assert page.status_code == 200
    config = json.loads(re.findall(r'<script id="_dash-config" type="application/json">(.*?)</script>', page.text)[0])
    assert config["requests_pathname_prefix"] == "/meter/"
    with signed.get("/meter/assets/tollmeter.css", headers=headers) as style:
        assert style.status_code == 200
    assert signed.get("/meter/_dash-layout", headers=headers).status_code == 200


def test_without_a_way_to_sign_in_this_machine_alone_is_answered(local: FlaskClient) -> None:
    assert local.get("/").status_code == 200
    for name in ("127.0.0.1:8050", "[::1]:8050", "localhost"):
        assert local.get("/_dash-layout", headers={"Host": name}).status_code == 200
    rebound = local.get("/_dash-layout", headers={"Host": "evil.example:8050"})
    assert (rebound.status_code, "TOLLMETER_AUTH_ISSUER" in rebound.text) == (403, True)
    assert local.get("/", environ_overrides={"REMOTE_ADDR": "10.0.0.7"}).status_code == 403


CROSS: list[tuple[dict[str, str], int]] = [
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://localhost:9999"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), CROSS)
def test_a_page_of_another_origin_calls_nothing(local: FlaskClient, headers: dict[str, str], status: int) -> None:
    assert local.post("/_dash-update-component", json={}, headers=headers).status_code == status
    assert local.post("/_dash-update-component", data="{}", content_type="text/plain").status_code == 403
    own = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    assert local.post("/_dash-update-component", json={}, headers=own).status_code not in (401, 403)


def test_scripts_are_of_this_server_or_known_by_their_hash(local: FlaskClient) -> None:
    page = local.get("/")
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    allowed = policy["script-src"].split()
    assert "'unsafe-inline'" not in allowed
    assert "'unsafe-eval'" not in allowed
    inline = re.findall(
        r"<script(?: id=\"_dash-renderer\" type=\"application/javascript\")?>(.*?)</script>", page.text, re.DOTALL
    )
    assert inline
    for script in inline:
        assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in allowed, script[:200]
    assert policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page.text)


def test_figures_are_not_kept_by_browsers_and_bundles_are(local: FlaskClient) -> None:
    page = local.get("/")
    assert page.headers["Cache-Control"] == "no-store"
    assert local.get("/_dash-layout").headers["Cache-Control"] == "no-store"
    bundle = re.findall(r'src="(/_dash-component-suites/[^"]+)"', page.text)[0]
    assert "immutable" in local.get(bundle).headers["Cache-Control"]
    assert "Set-Cookie" not in page.headers
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_a_proxy_is_believed_where_the_settings_say_so_and_never_for_the_host(
    signed: FlaskClient, local: FlaskClient
) -> None:
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example"}
    assert "Strict-Transport-Security" in signed.get("/meter/", headers=told).headers
    assert "Strict-Transport-Security" not in local.get("/", headers=told).headers
    crossed = told | {"Origin": "https://evil.example"}
    assert signed.post("/meter/_dash-update-component", json={}, headers=crossed).status_code == 403


def test_nobody_is_seen_outside_a_request_that_passed(local: FlaskClient) -> None:
    with pytest.raises(AccessError):
        viewer()
    with local.application.app_context(), pytest.raises(AccessError):
        viewer()


# health


def test_health_follows_the_lake(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    lakes.fill(home, datetime(2026, 11, 23, 10), calls=5, hours=1)  # noqa: DTZ001 - the lake's times have no zone
    now = [0.0]
    lake = Lake(home, Settings.load({}), clock=lambda: now[0])
    health = Health(lake, patience_s=60, clock=lambda: now[0])
    assert health.fault() == ""
    (home.lake / "catalog.sqlite").rename(tmp_path / "away")
    assert health.fault() == "", "it answered a moment ago"
    now[0] = 31
    (home.lake / "catalog.sqlite").write_bytes(b"no database")
    told = health.fault()
    assert told.startswith("the lake cannot be asked: ")
    assert str(tmp_path) not in told
    (home.lake / "catalog.sqlite").unlink()
    (tmp_path / "away").rename(home.lake / "catalog.sqlite")
    assert health.fault() == ""
    shutil.rmtree(home.lake / "tollmeter" / "llm_calls")
    now[0] = 62
    assert health.fault().startswith("the lake cannot be asked: ")


def test_a_lake_that_hangs_is_not_healthy_and_its_check_not_late(home: Home) -> None:
    hung = threading.Event()

    class Hanging(Lake):
        def ping(self) -> None:
            hung.wait(60)

    health = Health(Hanging(home, Settings.load({})), patience_s=0.05)
    assert health.fault() == "the lake has not answered yet"
    assert health.fault() == "the lake has not answered yet"
    assert sum(thread.name == "tollmeter-health" for thread in threading.enumerate()) == 1
    hung.set()


def test_a_question_that_failed_makes_the_next_check_ask(home: Home) -> None:
    lake = Lake(home, Settings.load({}))
    health = Health(lake, patience_s=60)
    lake.query(LOCAL, "overview", since="2026-11-01", until="2026-12-01")
    answered = lake.answered_at
    assert health.fault() == ""
    assert lake.answered_at == answered
    with pytest.raises(Exception, match="nowhere"):
        lake.run(LOCAL, parse("-- name: x\n-- purpose: y\nSELECT nowhere FROM llm_calls"))
    assert health.fault() == ""
    assert answered
    assert (lake.answered_at or 0) > answered


# the log


def test_a_request_is_one_line_of_json_with_who_sent_it_and_without_its_query(
    signed: FlaskClient, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token()}", "X-Forwarded-For": "203.0.113.9"}
    with caplog.at_level(logging.INFO, logger="tollmeter.dashboards.access_log"):
        signed.get("/meter/?user=secret-name", headers=headers)
        signed.get("/meter/\nx")
        signed.get("/livez")
    lines = [JsonLines().format(record) for record in caplog.records]
    assert not any("\n" in line or "secret-name" in line for line in lines)
    first, second = (json.loads(line) for line in lines)
    assert (first["viewer"], first["status"], first["remote_address"]) == ("ada", 200, "203.0.113.9")
    assert first["duration_ms"] > 0
    assert (second["viewer"], second["status"]) == (None, 401)


# serving


def test_others_are_not_let_near_without_a_way_to_sign_in(home: Home) -> None:
    for more in ([], ["--production"]):
        command = [*COMMAND, "--home", str(home.path), "--host", "0.0.0.0", *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "TOLLMETER_AUTH_ALB_ARN" in done.stderr
        assert "TOLLMETER_AUTH_ISSUER" in done.stderr


def test_the_production_server_answers_logs_json_and_ends_when_told(home: Home) -> None:
    command = [*COMMAND, "--home", str(home.path), "--production"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        before = []
        for line in process.stdout:
            before.append(json.loads(line))
            if "url" in before[-1]:
                break
        url = before[-1]["url"]
        with urlopen(url) as page:
            assert page.status == 200
        with pytest.raises(HTTPError) as refused:
            urlopen(url + "_dash-update-component", data=b"{}")
        assert refused.value.code == 403
        refused.value.close()
        process.send_signal(signal.SIGTERM)
        after = [json.loads(line) for line in process.stdout]
        assert process.wait(60) == 0
    told = [(line["path"], line["status"]) for line in after if "path" in line]
    assert told == [("/", 200), ("/_dash-update-component", 403)]
