"""Where a trace can be looked at elsewhere: addresses of the consoles of X-Ray and Datadog.

They are links that a reader follows; the dashboard itself asks neither.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

_TRACE: Final = re.compile(r"[0-9a-f]{32}")
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_SITE: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_OWN_HOSTS: Final = frozenset({"datadoghq.com", "datadoghq.eu", "ddog-gov.com"})
"""Sites of Datadog whose pages are at `app.`; those with a region in their name are pages themselves."""


@dataclass(frozen=True, slots=True)
class TraceLink:
    """A link to a trace: where it leads, in words and as an address."""

    name: str
    href: str


def trace_links(trace_id: str, region: str, datadog_site: str) -> tuple[TraceLink, ...]:
    """Links to a trace where the region, or Datadog's site, is known; none for an id that is no W3C trace id."""
    if not _TRACE.fullmatch(trace_id):
        return ()
    found = []
    if _REGION.fullmatch(region):
        found.append(TraceLink("X-Ray", xray_address(trace_id, region)))
    if _SITE.fullmatch(datadog_site):
        host = f"app.{datadog_site}" if datadog_site in _OWN_HOSTS else datadog_site
        found.append(TraceLink("Datadog", f"https://{host}/apm/trace/{datadog_id(trace_id)}"))
    return tuple(found)


def xray_id(trace_id: str) -> str:
    """A W3C trace id as X-Ray writes it.

    >>> xray_id("4efaaf4d1e8720b39541901950019ee5")
    '1-4efaaf4d-1e8720b39541901950019ee5'
    """
    return f"1-{trace_id[:8]}-{trace_id[8:]}"


def xray_address(trace_id: str, region: str) -> str:
    """The trace in the CloudWatch console of a region, of its own partition."""
    domain = "console.aws.amazon.com"
    if region.startswith("cn-"):
        domain = "console.amazonaws.cn"
    elif region.startswith("us-gov-"):
        domain = "console.amazonaws-us-gov.com"
    return f"https://{region}.{domain}/cloudwatch/home?region={region}#xray:traces/{quote(xray_id(trace_id))}"


def datadog_id(trace_id: str) -> str:
    """A trace id as Datadog's pages take it: 32 hex digits; one of 64 bits as a decimal number.

    >>> datadog_id("0" * 16 + "00000000000000ff"), datadog_id("4efaaf4d1e8720b39541901950019ee5")
    ('255', '4efaaf4d1e8720b39541901950019ee5')
    """
    high, low = trace_id[:16], trace_id[16:]
    return trace_id if int(high, 16) else str(int(low, 16))
