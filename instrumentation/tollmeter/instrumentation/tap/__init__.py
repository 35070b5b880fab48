"""The wire tap: one small hook under each HTTP client, so that every call is seen as the provider sent it."""

from __future__ import annotations

from tollmeter.instrumentation.tap.botocore_client import install_botocore
from tollmeter.instrumentation.tap.httpx_family import install_httpx_family

__all__ = ["install_taps"]


def install_taps() -> None:
    """Hook the HTTP clients that are, or will be, imported; calling it again changes nothing."""
    install_httpx_family()
    install_botocore()
