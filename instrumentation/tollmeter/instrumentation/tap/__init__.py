"""The wire tap: one small hook under each HTTP client, so that every call is seen as the provider sent it."""

from __future__ import annotations

from typing import Final

from tollmeter.instrumentation.tap.aiohttp_client import install_aiohttp
from tollmeter.instrumentation.tap.botocore_client import install_botocore
from tollmeter.instrumentation.tap.httpx_family import MODULES, install_httpx_family
from tollmeter.instrumentation.tap.requests_client import install_requests

__all__ = ["TAPPED", "install_taps"]

TAPPED: Final = (*MODULES, "aiohttp", "botocore", "requests")
"""The HTTP clients whose model calls are seen, by import name."""


def install_taps() -> None:
    """Hook the HTTP clients that are, or will be, imported; calling it again changes nothing."""
    install_httpx_family()
    install_botocore()
    install_aiohttp()
    install_requests()
