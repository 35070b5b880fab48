"""Traces to X-Ray over OTLP, each attempt signed; the account needs Transaction Search.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-OTLPEndpoint.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tollmeter.exporters.aws import client
from tollmeter.exporters.sinks.otlp import OtlpTraces, traces_url
from tollmeter.model import names

if TYPE_CHECKING:
    from tollmeter.exporters.derive.spans import Span
    from tollmeter.exporters.span_wire import SpanPost
    from tollmeter.model.settings import Settings

ANNOTATED: Final = (
    names.GEN_AI_REQUEST_MODEL,
    names.GEN_AI_PROVIDER_NAME,
    names.GEN_AI_USAGE_INPUT_TOKENS,
    names.GEN_AI_USAGE_OUTPUT_TOKENS,
    names.HTTP_ROUTE,
    names.HTTP_RESPONSE_STATUS_CODE,
    names.ERROR_TYPE,
    names.OWN_COST_USD,
    *(names.OWN_PREFIX + field for field in ("tenant_id", "feature", "team", "request_id", "status")),
)
"""Attributes that become annotations, which X-Ray indexes; the others are metadata."""


class XRaySpans(OtlpTraces):
    """Posts spans to the regional endpoint, or to `AWS_ENDPOINT_URL_XRAY`.

    Raises:
        MissingExtraError: boto3 or opentelemetry-exporter-otlp-proto-http is not installed.
    """

    name = "xray"
    oldest_s = 14 * 86_400.0
    farthest_s = 7200.0

    def open(self, settings: Settings) -> SpanPost:
        """The way to X-Ray: botocore knows the endpoint of each region and partition."""
        from tollmeter.exporters.signing import SigV4
        from tollmeter.exporters.span_wire import SpanPost

        meta = client("xray", settings).meta
        return SpanPost(traces_url(meta.endpoint_url), {}, SigV4("xray", meta.region_name), ambient=False)

    def shaped(self, made: list[Span], now_ns: int) -> list[Span]:
        """Names the attributes to be indexed."""
        del now_ns
        return [_annotated(span) for span in made]


def _annotated(span: Span) -> Span:
    found = tuple(name for name in ANNOTATED if name in span.attributes)
    return replace(span, attributes=span.attributes | {names.XRAY_ANNOTATIONS: found}) if found else span
