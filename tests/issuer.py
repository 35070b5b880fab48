"""An issuer on loopback: its keys, its configuration, the tokens it signs, and how often it was asked."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

AUDIENCE: Final = "dashboard"
KID: Final = "key-1"
ALB_KID: Final = "12345678-1234-1234-1234-123456789012"
ALB_ARN: Final = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188"


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any) -> str:
    """The public half of a key."""
    text: str = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return text


@dataclass
class Issuer:
    """Signs with RS256 as an issuer does, and with ES256 as a load balancer does."""

    url: str = ""
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=lambda: {KID: rsa_key()})
    alb_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    asked: list[str] = field(default_factory=list)
    is_down: bool = False

    def token(self, *, key: Any = None, algorithm: Any = "RS256", kid: Any = KID, **claims: Any) -> str:
        """An ID token; claims that are None are left out."""
        now = int(time.time())
        told = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "nbf": now, "exp": now + 300} | claims
        given = {name: value for name, value in told.items() if value is not None}
        signer = key or self.keys[KID]
        return jwt.encode(given, signer, algorithm, headers={"kid": kid} if kid else None)

    def alb_token(self, head: Any = None, **claims: Any) -> str:
        """What a load balancer sends: signer and times in the head, base64 with its padding."""
        head = {
            "typ": "JWT",
            "alg": "ES256",
            "kid": ALB_KID,
            "iss": self.url,
            "client": AUDIENCE,
            "signer": ALB_ARN,
            "exp": int(time.time()) + 120,
        } | (head or {})
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (head, {"sub": "ada"} | claims)]
        signing = b".".join(parts)
        signature = jwt.get_algorithm_by_name("ES256").sign(signing, self.alb_key)
        return (signing + b"." + base64.urlsafe_b64encode(signature)).decode()

    def answer(self, path: str) -> tuple[int, bytes]:
        """What stands at a path."""
        self.asked.append(path)
        if self.is_down:
            return 503, b""
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}).encode()
        if path == "/jwks":
            return 200, json.dumps({"keys": [_jwk(kid, key) for kid, key in self.keys.items()]}).encode()
        if path == f"/alb/{ALB_KID}":
            return 200, pem(self.alb_key).encode()
        return 404, b""


def _jwk(kid: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    told: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return told | {"kid": kid, "use": "sig", "alg": "RS256"}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that answers on loopback for as long as the block runs."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = issuer.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
