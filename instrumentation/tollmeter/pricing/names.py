"""What providers and models are called: OpenTelemetry's names, ARNs, geographies in front of Bedrock's models."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from tollmeter.model.names import PROVIDER_AZURE_OPENAI, PROVIDER_BEDROCK, PROVIDER_GEMINI, PROVIDER_VERTEX

ALIASES: Final = {
    PROVIDER_BEDROCK: "aws",
    PROVIDER_AZURE_OPENAI: "azure",
    "azure.ai.inference": "azure",
    PROVIDER_GEMINI: "google",
    PROVIDER_VERTEX: "google",
    "gcp.gen_ai": "google",
    "x_ai": "x-ai",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
}
"""OpenTelemetry provider names beside those that the table itself uses.

Only whole names: the table's own rules for providers look for substrings, and would price a self-hosted
`openai_compatible` server as OpenAI.
"""

PLAIN_TIERS: Final = frozenset({"", "default", "standard", "auto", "on_demand"})
"""Served tiers that are priced by the standard row."""

GEOGRAPHIES: Final = ("us", "us-gov", "eu", "apac", "jp", "au", "ca", "global")
"""What stands before the model in the id of an inference profile that Bedrock itself defines.

https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
"""

_ARN: Final = "arn:"
_ARN_REGION: Final = 3
_GEOGRAPHY: Final = re.compile(rf"({'|'.join(GEOGRAPHIES)})\.(?=.)")
_COMPACT_DATE: Final = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def provider_id(name: str) -> str:
    """The price table's own name of a provider.

    >>> provider_id("aws.bedrock"), provider_id("openai")
    ('aws', 'openai')
    """
    name = name.strip().lower()
    return ALIASES.get(name, name)


def model_name(name: str) -> str:
    """A model's name as prices are looked up by: in lower case, and of an ARN what follows the last slash.

    >>> model_name("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0")
    'amazon.nova-pro-v1:0'
    """
    name = name.strip().lower()
    return name.rpartition("/")[2] if name.startswith(_ARN) else name


def arn_region(name: str) -> str:
    """The region an ARN names, or an empty text.

    >>> arn_region("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-pro-v1:0")
    'eu-west-1'
    """
    parts = name.strip().lower().split(":") if name[: len(_ARN)].lower() == _ARN else []
    return parts[_ARN_REGION] if len(parts) > _ARN_REGION else ""


def split_geography(name: str) -> tuple[str, str]:
    """The geography in front of a model's name, or an empty text, and the name without it.

    >>> split_geography("us-gov.anthropic.claude-3-haiku-20240307-v1:0")
    ('us-gov', 'anthropic.claude-3-haiku-20240307-v1:0')
    >>> split_geography("gpt-4o")
    ('', 'gpt-4o')
    """
    found = _GEOGRAPHY.match(name)
    return (found[1], name[found.end() :]) if found else ("", name)


def with_dashed_date(name: str) -> str:
    """The name with a date such as 20251211 in dashes, as some gateways write it.

    >>> with_dashed_date("gpt-5.2-20251211")
    'gpt-5.2-2025-12-11'
    """
    return _COMPACT_DATE.sub(_dashed, name)


def _dashed(found: re.Match[str]) -> str:
    year, month, day = (int(part) for part in found.groups()[1:])
    try:
        date(year, month, day)
    except ValueError:
        return found.group(0)
    return f"-{year:04d}-{month:02d}-{day:02d}"
