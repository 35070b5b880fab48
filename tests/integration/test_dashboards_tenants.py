"""A viewer of one tenant is answered as if no other tenant were there: every page, route and callback, byte by byte.

Two lakes hold the same rows of acme; one holds rows of globex among them. Whatever a viewer of acme sends, also what
names globex and ids of its rows, must be answered the same by both. Pages are walked as they are registered, so that
those that are added are held to it too.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from issuer import AUDIENCE, Issuer, issuing

from tollmeter.dashboards.app import create_app
from tollmeter.dashboards.pages import PAGES
from tollmeter.dashboards.wire import Page
from tollmeter.etl.lake import open_tables
from tollmeter.etl.rollups import derive
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

NOW = datetime(2026, 11, 23, 10, 30)  # noqa: DTZ001 - the lake's times have no zone
OWN, THEIRS = "acme", "globex"
OWN_MARK, SECRET = "a-mark", "b-secret"
"""Part of every text in acme's rows, and in globex's."""
OF_NO_TENANT = ("health",)
"""Pages of what belongs to no tenant: a viewer of some sees them empty."""
DRAWN = re.compile(r"Reference [0-9a-f]{8}|\b[0-9a-f]{32}\b")
"""References and ids of tabs, which are drawn anew each time; ids of rows are of another shape."""
LONG_NUMBER = re.compile(r"-?\d+\.\d{7,}(?:e-?\d+)?")
"""Floats whose last digits depend on the order in which an engine adds them up."""
Row = dict[str, Any]


def _lakes() -> Any:
    # Test folders are no packages, and importlib mode puts none of them on the path.
    spec = spec_from_file_location("lakes", Path(__file__).parents[1] / "browser" / "lakes.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lakes = _lakes()


def event_id(tenant: str, kind: str, index: int) -> str:
    return f"0193{'a' if tenant == OWN else 'b'}000-0000-7000-8000-{kind}{index:011d}"


def rows_of(tenant: str) -> dict[str, list[Row]]:
    """Rows of every kind, whose texts all tell the tenant."""
    mark = OWN_MARK if tenant == OWN else SECRET
    made: dict[str, list[Row]] = {"llm_calls": [], "requests": [], "evaluations": []}
    for index in range(24):
        moment = NOW - timedelta(hours=index * 2 + 1, minutes=7)
        who = {
            "tenant_id": tenant,
            "service": f"{mark}-service",
            "route": f"/{mark}",
            "request_id": f"{mark}-request-{index}",
            "user_id": f"{mark}-user-{index % 3}",
            "session_id": f"{mark}-session-{index % 4}",
            "team": f"{mark}-team",
            "feature": f"{mark}-feature",
            "prompt_name": f"{mark}-prompt",
            "prompt_version": f"{mark}-v{index % 2}",
            "experiment": f"{mark}-experiment",
            "variant": f"{mark}-{'ab'[index % 2]}",
            "version": f"{mark}-1.{index // 12}",
            "environment": f"{mark}-environment",
            "region": f"{mark}-region",
            "tags": json.dumps({"tollmeter.simulated": mark} if index == 0 else {}),
        }
        call = (
            lakes.call(moment, index) | who | {"event_id": event_id(tenant, "1", index), "provider": f"{mark}-provider"}
        )
        call |= {"request_model": f"{mark}-model", "response_model": f"{mark}-model"}
        call |= {"error_type": f"{mark}-error" if call["error_type"] else "", "cost_status": "priced"}
        call["cost_usd"] = Decimal(index + 1) / (100 if tenant == OWN else 8)
        made["llm_calls"].append(call)
        served = lakes.request(moment, index) | who | {"event_id": event_id(tenant, "2", index)}
        made["requests"].append(served)
        score = {"call_id": call["event_id"], "name": f"{mark}-score", "score": index / 24}
        made["evaluations"].append(
            lakes._base(moment, index) | who | score | {"event_id": event_id(tenant, "3", index)}
        )
    return made


def lake_of(home: Home, *tenants: str) -> Home:
    for table in ("llm_calls", "requests", "evaluations"):
        lakes.write(home, table, [row for tenant in tenants for row in rows_of(tenant)[table]])
    if THEIRS in tenants:
        lost = {"object_key": f"raw/{SECRET}.jsonl", "line_number": 1, "sha256": "0" * 64, "reason": "invalid"}
        told = {"detail": SECRET, "raw_text": SECRET, "event_date": NOW.date(), "ingested_at": NOW, "batch_id": SECRET}
        lakes.write(home, "quarantine", [lost | told])
    derive(home, open_tables(home, "zstd"), Settings.load({}))
    return home


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@dataclass(frozen=True)
class Apps:
    """The dashboard over acme's rows alone, and over those of both."""

    alone: FlaskClient
    both: FlaskClient
    own: dict[str, str]
    admin: dict[str, str]


@pytest.fixture(scope="module")
def apps(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    known = {
        "auth_issuer": issuer.url,
        "auth_audience": AUDIENCE,
        "auth_tenant_claim": "tenant",
        "auth_admin": "role=all",
    }
    settings = Settings.load({}, **known)
    folder = tmp_path_factory.mktemp("tenants")
    homes = (lake_of(Home(folder / "alone"), OWN), lake_of(Home(folder / "both"), OWN, THEIRS))
    alone, both = (create_app(home, settings).server.test_client() for home in homes)
    own, admin = issuer.token(tenant=OWN), issuer.token(role="all")
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("tollmeter.dashboards.") and hasattr(module, "utc_now"):
                patch.setattr(module, "utc_now", lambda: NOW)
        yield Apps(alone, both, {"Authorization": f"Bearer {own}"}, {"Authorization": f"Bearer {admin}"})


def searches(page: Page) -> list[str]:
    """Addresses of a page: plain, by tenant, naming the other tenant, and with its own names set to ids of theirs."""
    call, session = event_id(THEIRS, "1", 1), f"{SECRET}-session-1"
    guessed = {"call": call, "of": THEIRS, "q": SECRET, "open": session, "at": NOW.date().isoformat()}
    own = {name: quote(guessed.get(name, call)) for name in page.own}
    together = "&".join(f"{name}={own[name]}" for name in own if name in guessed)
    one_by_one = [f"?{name}={value}" for name, value in own.items()]
    known = ["", "?group=tenant&compare=1", f"?tenant={THEIRS}&group=user&range=7d"]
    return list(dict.fromkeys([*known, *one_by_one, f"?{together}" if together else ""]))


def name_of(page: Page) -> str:
    """What the ids of a page's elements begin with."""
    return page.path or "overview"


def callbacks(client: FlaskClient, headers: dict[str, str], page: Page) -> list[dict[str, Any]]:
    """A page's callbacks that ask the server, as the browser is told of them; the shell's go with the first page."""
    found = client.get("/_dash-dependencies", headers=headers).json
    asking = [one for one in found or [] if not one.get("clientside_function")]
    return [one for one in asking if owner(one) == page]


def owner(callback: dict[str, Any]) -> Page:
    ids = [part["id"] for part in (*callback["inputs"], *callback["state"])] + [callback["output"].strip(".")]
    return next((page for page in PAGES if any(one.startswith(f"{name_of(page)}-") for one in ids)), PAGES[0])


def value_of(part: dict[str, str], page: Page, search: str) -> Any:
    """What the browser would send, or an attacker."""
    known = {"url.search": search, "url.pathname": f"/{page.path}", "filter-dimension.value": "user"}
    name = f"{part['id']}.{part['property']}"
    if name in known:
        return known[name]
    return {"n_clicks": 1, "n_intervals": 1, "value": SECRET, "searchValue": ""}.get(part["property"])


def outputs(told: str) -> Any:
    """The outputs of a callback as its payload names them."""
    names = told.removeprefix("..").removesuffix("..").split("...") if told.startswith("..") else [told]
    parts = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in names]
    return parts if told.startswith("..") else parts[0]


def payload(callback: dict[str, Any], page: Page, search: str, trigger: dict[str, str]) -> dict[str, Any]:
    def given(parts: list[dict[str, str]]) -> list[Any]:
        # Of elements that are made as data comes (`{"type": …, "name": ALL}`) there are none yet.
        return [[] if part["id"].startswith("{") else part | {"value": value_of(part, page, search)} for part in parts]

    return {
        "output": callback["output"],
        "outputs": [] if callback["no_output"] else outputs(callback["output"]),
        "inputs": given(callback["inputs"]),
        "state": given(callback["state"]),
        "changedPropIds": [f"{trigger['id']}.{trigger['property']}"],
    }


def asked(apps: Apps, page: Page) -> Iterator[dict[str, Any]]:
    """Every payload: each callback at each address, and at the plain one by each of its inputs."""
    for callback in callbacks(apps.both, apps.own, page):
        for search in searches(page):
            yield payload(callback, page, search, callback["inputs"][0])
        for trigger in callback["inputs"][1:]:
            yield payload(callback, page, "", trigger)


def settled(text: str) -> str:
    """A response without what differs from one time to the next."""
    return LONG_NUMBER.sub(lambda found: f"{float(found[0]):.9g}", DRAWN.sub("", text))


def answer(client: FlaskClient, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, str]:
    told = client.post("/_dash-update-component", json=body, headers=headers)
    return told.status_code, settled(told.text)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_answers_as_if_no_other_tenant_were_there(apps: Apps, page: Page) -> None:
    answered = ""
    for body in asked(apps, page):
        alone, both = answer(apps.alone, apps.own, body), answer(apps.both, apps.own, body)
        assert both == alone, body
        named = json.dumps(body)
        assert SECRET not in both[1] or SECRET in named, body
        answered += both[1]
    if page.path not in OF_NO_TENANT:
        assert OWN_MARK in answered, "the walk reached no rows at all"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_walk_reaches_what_it_must_not_tell(apps: Apps, page: Page) -> None:
    """Whoever may see all is told of globex by the same payloads; else the test above could not fail."""
    plain = (payload(one, page, search, one["inputs"][0]) for one in callbacks(apps.both, apps.admin, page)
             for search in ("", "?group=tenant", "?group=user"))  # fmt: skip
    assert any(SECRET in told or THEIRS in told for told in (answer(apps.both, apps.admin, body)[1] for body in plain))


def test_every_route_answers_as_if_no_other_tenant_were_there(apps: Apps) -> None:
    rules = [rule for rule in apps.both.application.url_map.iter_rules() if "GET" in (rule.methods or ())]
    rules = [rule for rule in rules if "_dash-component-suites" not in rule.rule]  # files of packages
    paths = [re.sub(r"<[^>]*>", "x", rule.rule) for rule in rules] + [f"/{page.path}" for page in PAGES]
    for path in paths:
        for search in ("", f"?tenant={THEIRS}&call={event_id(THEIRS, '1', 1)}&format=csv"):
            alone, both = (client.get(path + search, headers=apps.own) for client in (apps.alone, apps.both))
            assert both.status_code == alone.status_code, path
            # The frame of the page tells which packages were imported before the application was made.
            told, expected = (settled(one.data.decode("latin-1")) for one in (both, alone))
            assert both.mimetype == "text/html" or told == expected, path
            assert SECRET.encode() not in both.data
            alone.close()
            both.close()
