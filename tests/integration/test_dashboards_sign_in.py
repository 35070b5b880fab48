"""Who is let in by which token, from an issuer and a load balancer on loopback."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from issuer import ALB_ARN, AUDIENCE, KID, Issuer, issuing, pem, rsa_key

from tollmeter.dashboards.access import guard, viewer
from tollmeter.dashboards.access.key_set import KeySet
from tollmeter.dashboards.access.sign_in import sign_in_of
from tollmeter.model.errors import AccessError, SettingError, UsageError
from tollmeter.model.settings import Settings

Cases = dict[str, tuple[Callable[[Issuer], str], str]]
OTHER_ALB = ALB_ARN.replace("50dc6c495c0c9188", "60dc6c495c0c9188")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


def settings(issuer: Issuer, **more: Any) -> Settings:
    known = {"auth_issuer": issuer.url, "auth_audience": (AUDIENCE,), "auth_tenant_claim": "custom:tenant"}
    return Settings.load({}, **known | {"auth_admin": {"cognito:groups": "finops"}} | more)


def behind_alb(issuer: Issuer, **more: Any) -> Settings:
    return settings(issuer, **{"auth_alb_arn": ALB_ARN, "auth_alb_keys_url": f"{issuer.url}/alb"} | more)


def seen(chosen: Settings, headers: dict[str, str]) -> tuple[int, Any]:
    """Status, and who was seen, or why nobody was."""
    server = Flask(__name__)
    guard(server, sign_in_of(chosen))

    @server.get("/who")
    def who() -> Any:
        return {"subject": viewer().subject, "tenants": viewer().tenants}

    answer = server.test_client().get("/who", headers=headers)
    return answer.status_code, answer.json if answer.status_code == 200 else answer.text.strip()


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_token_of_the_issuer_lets_in_and_names_the_tenants(issuer: Issuer) -> None:
    chosen = settings(issuer)
    found = seen(chosen, bearing(issuer.token(**{"custom:tenant": "acme"})))
    assert found == (200, {"subject": "ada", "tenants": ["acme"]})
    several = issuer.token(aud=["other", AUDIENCE], **{"custom:tenant": ["acme", "globex", "acme"]})
    assert seen(chosen, bearing(several))[1]["tenants"] == ["acme", "globex"]
    assert seen(chosen, bearing(issuer.token(**{"cognito:groups": ["ops", "finops"]})))[1]["tenants"] is None


def test_whoever_lacks_the_claim_sees_nothing_and_without_a_claim_set_everything(issuer: Issuer) -> None:
    for claims in ({}, {"custom:tenant": ""}, {"custom:tenant": 7}, {"custom:tenant": {"acme": True}}):
        assert seen(settings(issuer), bearing(issuer.token(**claims)))[1]["tenants"] == []
    assert seen(settings(issuer), bearing(issuer.token(**{"cognito:groups": "not-finops"})))[1]["tenants"] == []
    open_to_all = settings(issuer, auth_tenant_claim="", auth_admin={})
    assert seen(open_to_all, bearing(issuer.token()))[1]["tenants"] is None


def test_an_access_token_of_cognito_tells_its_audience_as_client_id(issuer: Issuer) -> None:
    chosen = settings(issuer)
    access = {"aud": None, "token_use": "access"}
    assert seen(chosen, bearing(issuer.token(**access, client_id=AUDIENCE)))[0] == 200
    assert seen(chosen, bearing(issuer.token(**access, client_id="other")))[0] == 401
    assert seen(chosen, bearing(issuer.token(aud=None, client_id=AUDIENCE)))[0] == 401


def tampered(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | {"custom:tenant": "globex"}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{signature}"


def unsigned(issuer: Issuer) -> str:
    _, body, _ = issuer.token().split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": KID}).encode()).decode().rstrip("=")
    return f"{head}.{body}."


def with_public_key_as_secret(issuer: Issuer) -> str:
    """HS256, the secret being what everybody can fetch; the library would refuse to make it."""
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in (
            {"alg": "HS256", "kid": KID, "typ": "JWT"},
            jwt.decode(issuer.token(), options={"verify_signature": False}),
        )
    )
    import hashlib
    import hmac

    digest = hmac.new(pem(issuer.keys[KID]).encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


REFUSED: Cases = {
    "expired": (lambda i: i.token(exp=int(time.time()) - 60), "has expired"),
    "not valid yet": (lambda i: i.token(nbf=int(time.time()) + 120), "not valid yet"),
    "without end": (lambda i: i.token(exp=None), "lacks a claim"),
    "wrong audience": (lambda i: i.token(aud="other"), "another audience"),
    "no audience": (lambda i: i.token(aud=None), "another audience"),
    "wrong issuer": (lambda i: i.token(iss="https://evil.example"), "another issuer"),
    "no issuer": (lambda i: i.token(iss=None), "lacks a claim"),
    "no subject": (lambda i: i.token(sub=None), "lacks a claim"),
    "alg none": (unsigned, "not signed with RS256"),
    "HS256 with the public key": (with_public_key_as_secret, "not signed with RS256"),
    "another algorithm": (lambda i: i.token(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"), "RS256"),
    "unknown key": (lambda i: i.token(kid="key-9"), "does not tell"),
    "no key named": (lambda i: i.token(kid=None), "names no key"),
    "another's key under a known name": (lambda i: i.token(key=rsa_key()), "signature does not fit"),
    "tampered": (lambda i: tampered(i.token()), "signature does not fit"),
    "cut": (lambda i: i.token()[:-20], "is not valid"),
    "no token": (lambda _: "x", "cannot be read"),
    "empty": (lambda _: "", "cannot be read"),
    "too long": (lambda i: i.token(more="x" * 20_000), "too long"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_any_other_token_is_refused(issuer: Issuer, case: str) -> None:
    make, reason = REFUSED[case]
    status, told = seen(settings(issuer), bearing(make(issuer)))
    assert (status, reason in told) == (401, True), told


def test_a_clock_that_is_a_little_off_shuts_nobody_out(issuer: Issuer) -> None:
    assert seen(settings(issuer), bearing(issuer.token(exp=int(time.time()) - 10)))[0] == 200


def test_keys_are_fetched_once_and_anew_for_an_unknown_one_but_not_for_each(issuer: Issuer) -> None:
    issuer.asked.clear()
    now = [0.0]
    keys = KeySet(issuer.url, clock=lambda: now[0])
    first = keys.key(KID)
    assert keys.key(KID) is first
    assert issuer.asked == ["/.well-known/openid-configuration", "/jwks"]
    for _ in range(20):
        with pytest.raises(AccessError, match="does not tell"):
            keys.key("made-up")
    assert issuer.asked.count("/jwks") == 1
    issuer.keys["key-2"] = rsa_key()
    now[0] += 31
    assert keys.key("key-2")
    assert issuer.asked.count("/jwks") == 2
    del issuer.keys["key-2"]
    now[0] += 3601
    keys.key(KID)
    with pytest.raises(AccessError):
        keys.key("key-2")


def test_an_issuer_that_is_down_shuts_nobody_out_whose_key_is_known(issuer: Issuer) -> None:
    now = [0.0]
    keys = KeySet(issuer.url, clock=lambda: now[0])
    keys.key(KID)
    issuer.is_down, now[0] = True, 4000.0
    try:
        assert keys.key(KID)
    finally:
        issuer.is_down = False


def test_the_load_balancers_token_lets_in(issuer: Issuer) -> None:
    header = {"x-amzn-oidc-data": issuer.alb_token(**{"custom:tenant": "acme"})}
    assert seen(behind_alb(issuer), header) == (200, {"subject": "ada", "tenants": ["acme"]})
    alone = Settings.load({}, auth_alb_arn=ALB_ARN, auth_alb_keys_url=f"{issuer.url}/alb", auth_tenant_claim="x")
    assert seen(alone, header)[1]["tenants"] == []


def test_groups_come_from_the_access_token_beside_it_if_that_is_of_the_same_subject(issuer: Issuer) -> None:
    data = issuer.alb_token()
    access = {"aud": None, "token_use": "access", "client_id": AUDIENCE, "cognito:groups": ["finops"]}
    both = {"x-amzn-oidc-data": data, "x-amzn-oidc-accesstoken": issuer.token(**access)}
    assert seen(behind_alb(issuer), both)[1]["tenants"] is None
    others = both | {"x-amzn-oidc-accesstoken": issuer.token(**access, sub="eve")}
    assert seen(behind_alb(issuer), others) == (401, "the load balancer's access token is of someone else")
    opaque = both | {"x-amzn-oidc-accesstoken": "opaque"}
    assert seen(behind_alb(issuer), opaque)[1]["tenants"] == []


ALB_REFUSED: Cases = {
    "another signer": (lambda i: i.alb_token({"signer": OTHER_ALB}), "another load balancer"),
    "expired": (lambda i: i.alb_token({"exp": int(time.time()) - 60}), "has expired"),
    "expired claims": (lambda i: i.alb_token(exp=int(time.time()) - 60), "has expired"),
    "without end": (lambda i: i.alb_token({"exp": None}), "has expired"),
    "another issuer": (lambda i: i.alb_token({"iss": "https://evil.example"}), "another issuer"),
    "another client": (lambda i: i.alb_token({"client": "other"}), "another client"),
    "alg none": (lambda i: i.alb_token({"alg": "none"}), "not signed with ES256"),
    "unknown key": (lambda i: i.alb_token({"kid": "00000000-0000-0000-0000-000000000000"}), "not known"),
    "a path as key": (lambda i: i.alb_token({"kid": "../jwks"}), "cannot be"),
    "tampered": (lambda i: tampered(i.alb_token()), "signature does not fit"),
    "garbage": (lambda _: "x.y.z", "cannot be read"),
}


@pytest.mark.parametrize("case", ALB_REFUSED)
def test_any_other_token_of_a_load_balancer_is_refused(issuer: Issuer, case: str) -> None:
    make, reason = ALB_REFUSED[case]
    status, told = seen(behind_alb(issuer), {"x-amzn-oidc-data": make(issuer)})
    assert (status, reason in told) == (401, True), told


def test_made_up_key_ids_are_not_all_asked_for(issuer: Issuer) -> None:
    sign_in = sign_in_of(behind_alb(issuer))
    assert sign_in
    issuer.asked.clear()
    for index in range(20):
        with pytest.raises(AccessError):
            sign_in.viewer_of({"x-amzn-oidc-data": issuer.alb_token({"kid": f"made-up-{index}"})})
    assert len(issuer.asked) == 5


def test_headers_that_anybody_can_write_let_nobody_in(issuer: Issuer) -> None:
    for headers in ({}, {"x-amzn-oidc-identity": "ada"}, {"X-Forwarded-User": "ada"}, {"Authorization": "Basic YQ=="}):
        assert seen(behind_alb(issuer), headers)[0] == 401
    # The load balancer's header is not looked at where none is set.
    assert seen(settings(issuer), {"x-amzn-oidc-data": issuer.alb_token()})[0] == 401


def test_settings_that_would_let_too_many_in_are_refused() -> None:
    issuer = "https://issuer.example"
    with pytest.raises(UsageError, match="TOLLMETER_AUTH_AUDIENCE"):
        sign_in_of(Settings.load({}, auth_issuer=issuer))
    with pytest.raises(UsageError, match="claims need a token"):
        sign_in_of(Settings.load({}, auth_tenant_claim="tenant"))
    with pytest.raises(SettingError, match="https://"):
        sign_in_of(Settings.load({}, auth_issuer="http://issuer.example", auth_audience="a"))
    with pytest.raises(SettingError, match="https://"):
        sign_in_of(Settings.load({}, auth_issuer=issuer, auth_audience="a", auth_jwks_url="http://x.example/jwks"))
    with pytest.raises(SettingError, match="Application Load Balancer"):
        sign_in_of(Settings.load({}, auth_alb_arn="arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/net/x/1"))
    with pytest.raises(SettingError, match="https://"):
        sign_in_of(Settings.load({}, auth_alb_arn=ALB_ARN, auth_alb_keys_url="http://keys.example"))
    assert sign_in_of(Settings.load({})) is None
