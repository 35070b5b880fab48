"""The settings table: one row per setting, read from `TOLLMETER_*` or given as an argument of the same name.

`docs/reference/settings.md` is generated from it. An argument beats the environment, which beats the default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from decimal import Decimal
from typing import Any, Final

from tollmeter.model.errors import SettingError, UnknownNameError
from tollmeter.model.names import PROPAGATION_DATADOG, PROPAGATION_TRACECONTEXT, PROPAGATION_XRAY

PREFIX: Final = "TOLLMETER_"
HOST_RULE: Final = r"(?P<host>(?:\*\.)?[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\])(?::(?P<port>\d{1,5}))?(?P<prefix>/\S*)?"
"""A pattern: `host[:port][/prefix]` or `*.suffix[:port][/prefix]`."""
STATSD_RULE: Final = (
    r"udp://(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})|unix(?:gram|stream)?://(?P<path>/.+)"
)
"""A pattern: `udp://host:port` or `unix:///path`."""
HIDDEN: Final = "***"
"""Stands for the value of a setting that may hold a key."""
PROVIDER_NAME: Final = r"[a-z0-9][a-z0-9_.-]{0,63}"

_SIZES: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def _text(value: str) -> str:
    return value


def _bool(value: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return known[value.strip().lower()]


def _seconds(value: str) -> float:
    seconds = float(value)
    if not 0 < seconds < float("inf"):
        raise ValueError(value)
    return seconds


def _millis(value: str) -> float:
    return _seconds(value)


def _ratio(value: str) -> float:
    ratio = float(value)
    if not 0 <= ratio <= 1:
        raise ValueError(value)
    return ratio


def _usd(value: str) -> Decimal:
    amount = Decimal(value)
    if not (amount.is_finite() and amount >= 0):
        raise ValueError(value)
    return amount


def _count(value: str) -> int:
    number = int(value)
    if number < 0:
        raise ValueError(value)
    return number


def _bytes(value: str) -> int:
    text = value.strip().upper().removesuffix("B").removesuffix("I")
    unit = text[-1:] if text[-1:] in ("K", "M", "G") else ""
    return int(float(text.removesuffix(unit)) * _SIZES[unit])


def _pairs(value: str) -> dict[str, str]:
    return dict(_pair(item) for item in value.split(",") if item.strip())


def _pair(item: str) -> tuple[str, str]:
    key, sign, target = item.partition("=")
    if not (key.strip() and sign and target.strip()):
        raise ValueError(item)
    return key.strip(), target.strip()


def _hosts(value: str) -> dict[str, str]:
    pairs = _pairs(value)
    for host, provider in pairs.items():
        if not (re.fullmatch(HOST_RULE, host) and re.fullmatch(PROVIDER_NAME, provider)):
            raise ValueError(host)
    return pairs


def _names(value: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in value.split(",") if item.strip())


def _plain_hosts(value: str) -> tuple[str, ...]:
    hosts = tuple(host.lower().strip("[]") for host in _names(value))
    for host in hosts:
        if host != "*" and not re.fullmatch(r"(?:\*\.)?[a-z0-9_.-]+|[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:]*", host):
            raise ValueError(host)
    return hosts


def _styles(value: str) -> tuple[str, ...]:
    known = {name: name for name in (PROPAGATION_TRACECONTEXT, PROPAGATION_XRAY, PROPAGATION_DATADOG)}
    return () if value.strip().lower() == "none" else tuple(known[name.lower()] for name in _names(value))


def _statsd(value: str) -> str:
    if not re.fullmatch(STATSD_RULE, value):
        raise ValueError(value)
    return value


def _lake(value: str) -> str:
    scheme, sign, rest = value.partition("://")
    if (sign and scheme != "s3") or (sign and not rest.partition("/")[0]) or "?" in rest or "#" in rest:
        raise ValueError(value)
    return value.rstrip("/") or value


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        return {name: name for name in allowed}[value.strip().lower()]

    parse.__doc__ = "one of " + ", ".join(allowed)
    return parse


_ALLOWED: Final[dict[Callable[[str], object], str]] = {
    _text: "text",
    _bool: "true or false",
    _seconds: "a positive number of seconds",
    _millis: "a positive number of milliseconds",
    _ratio: "a number from 0 to 1",
    _usd: "an amount of USD, 0 or more",
    _count: "a whole number, 0 or more",
    _bytes: "a size such as 64M",
    _pairs: "pairs such as tenant_id=x-tenant-id,user_id=x-user-id",
    _hosts: "pairs such as llm.internal:8000=openai,*.corp.example/anthropic=anthropic",
    _names: "names separated by commas",
    _plain_hosts: "hosts without port, *.suffix, or *, separated by commas",
    _styles: "some of tracecontext, xray, datadog, separated by commas, or none",
    _lake: "a folder, or an address such as s3://bucket/lake",
    _statsd: "an address such as udp://localhost:8125 or unix:///var/run/datadog/dsd.socket",
}


def _row(default: Any, parse: Callable[[str], object], doc: str, *, env: str = "", secret: bool = False) -> Any:
    metadata = {"parse": parse, "doc": doc, "env": env, "secret": secret}
    if isinstance(default, dict):
        return field(default_factory=dict, repr=not secret, metadata=metadata)
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings; build it with `Settings.load`."""

    home: str = _row("", _text, "folder of all state; empty means ~/.tollmeter")
    service: str = _row(
        "",
        _text,
        "name of this service; empty means OTEL_SERVICE_NAME, DD_SERVICE, then the app's title",
        env="OTEL_SERVICE_NAME DD_SERVICE AWS_LAMBDA_FUNCTION_NAME",
    )
    environment: str = _row("", _text, "deployment environment, such as production", env="DD_ENV")
    version: str = _row("", _text, "version of the service", env="DD_VERSION AWS_LAMBDA_FUNCTION_VERSION")
    region: str = _row("", _text, "cloud region", env="AWS_REGION AWS_DEFAULT_REGION")
    account_id: str = _row("", _text, "cloud account", env="AWS_ACCOUNT_ID")
    mode: str = _row(
        "auto",
        _choice("auto", "lean", "otel"),
        "auto takes otel where a TracerProvider or OTEL_* exporter settings exist, else lean",
    )
    record_unsampled: str = _row(
        "auto",
        _choice("auto", "always", "never"),
        "in OTel mode, record spans that the sampler drops, without exporting them, so that calls and steps are told"
        " of by them too; auto does where an instrumentation of model calls is installed, or we made the provider",
    )
    route: str = _row(
        "auto",
        _choice("auto", "file", "stdout"),
        "where events go: the spool on disk, or stdout where no disk is writable, and in Lambda",
    )
    emf: str = _row(
        "auto",
        _choice("auto", "always", "never"),
        "whether events on stdout are their own CloudWatch metrics (embedded metric format); auto does so in Lambda",
    )
    team: str = _row("", _text, "team every event is attributed to, unless annotated otherwise")
    feature: str = _row("", _text, "feature every event is attributed to, unless annotated otherwise")
    tags: dict[str, str] = _row({}, _pairs, "tags on every event")
    headers: dict[str, str] = _row({}, _pairs, "attribution from request headers: field=header")
    claims: dict[str, str] = _row(
        {},
        _pairs,
        "attribution from claims of the bearer token: field=claim; the token is not verified, the service does that",
    )
    baggage: dict[str, str] = _row({}, _pairs, "attribution from W3C baggage: field=key")
    propagation: tuple[str, ...] = _row(
        (PROPAGATION_TRACECONTEXT, PROPAGATION_XRAY, PROPAGATION_DATADOG),
        _styles,
        "trace headers of requests that are continued, the first that is found winning: docs/propagation.md",
    )
    propagate: tuple[str, ...] = _row(
        (PROPAGATION_TRACECONTEXT,), _styles, "trace headers that model calls carry to propagate_hosts"
    )
    propagate_hosts: tuple[str, ...] = _row(
        (), _plain_hosts, "hosts that model calls tell their trace, and propagate_baggage; * means all"
    )
    propagate_baggage: dict[str, str] = _row(
        {}, _pairs, "attribution that model calls carry to propagate_hosts as W3C baggage: field=key"
    )
    providers: dict[str, str] = _row(
        {},
        _hosts,
        "more hosts of providers: host=provider; a host may have a port, a path prefix, or be *.suffix: docs/taps.md",
    )
    include_usage: bool = _row(
        False,
        _bool,
        "ask OpenAI and Azure for the usage of each stream that did not, and keep what answers it from the caller",
    )
    include_usage_hosts: tuple[str, ...] = _row(
        (), _names, "more hosts that accept stream_options.include_usage, with their port where it is not the usual"
    )
    estimate_usage: bool = _row(
        True, _bool, "estimate usage from the text where an answer tells none, and mark it; false leaves it missing"
    )
    capture_content: str = _row(
        "off",
        _choice("off", "input", "output", "all"),
        "record the text of model calls, redacted: what was asked, what was answered, or both; see docs/privacy.md",
    )
    capture_ratio: float = _row(1.0, _ratio, "share of traces whose content is recorded")
    capture_max_bytes: int = _row(
        8 << 10, _bytes, "most bytes of what was asked, and of what was answered, for each call; 16,383 at most"
    )
    redactors: tuple[Any, ...] = _row(
        (),
        _names,
        "email, phone, card, iban, ip, secret or module:function, in their order; empty means the first four on content"
        " alone, and those named run on attribution, tags, steps and comments too; secrets are always replaced",
    )
    exclude_routes: tuple[str, ...] = _row((), _names, "paths that are not recorded, such as /health")
    max_steps: int = _row(128, _count, "steps kept per request; more are counted")
    segment_max_bytes: int = _row(16 << 20, _bytes, "a spool segment is closed at this size")
    segment_max_age_s: float = _row(30.0, _seconds, "a spool segment is closed at this age")
    spool_max_bytes: int = _row(
        1 << 30, _bytes, "disk the spool of one service may take; when full, the newest events are dropped and counted"
    )
    fdatasync: bool = _row(False, _bool, "sync segments to disk in groups, against power loss")
    forward: bool = _row(False, _bool, "start a forwarder as a child process of the service")
    sinks: tuple[str, ...] = _row(
        ("raw",),
        _names,
        "where the forwarder ships: raw, s3, firehose, stdout, cloudwatch_logs, cloudwatch_metrics, cloudwatch_emf, xray, otlp, datadog_metrics, datadog_traces",
    )
    raw_url: str = _row("", _text, "where the s3 sink stores raw objects, such as s3://bucket/raw")
    kms_key: str = _row(
        "", _text, "KMS key that objects in S3 are encrypted with; empty means the bucket's own setting"
    )
    firehose_stream: str = _row("", _text, "delivery stream of the firehose sink")
    forward_interval_s: float = _row(1.0, _seconds, "how often the forwarder looks at the spool")
    forward_grace_s: float = _row(
        5.0,
        _seconds,
        "how long a forwarder that was told to stop goes on while a service writes or a sink has not passed all",
    )
    health_port: int = _row(0, _count, "port the forwarder answers GET /health at; 0 opens none")
    health_host: str = _row("127.0.0.1", _text, "address the health port is bound to")
    health_max_failing_s: float = _row(
        300.0, _seconds, "the forwarder is unhealthy when a durable sink has been failing for longer"
    )
    sink_max_lag_s: float = _row(
        86400.0,
        _seconds,
        "how long a sink may hold segments back before it is passed over and what it missed is counted",
    )
    cloudwatch_namespace: str = _row("Tollmeter", _text, "CloudWatch namespace of the metrics")
    cloudwatch_log_group: str = _row(
        "/tollmeter/{service}",
        _text,
        "log group of the cloudwatch_logs and emf sinks; {service} is the event's service",
    )
    cloudwatch_retention_days: int = _row(
        30, _count, "retention of log groups that are made; one that exists keeps its own, and 0 means for ever"
    )
    metric_preset: str = _row("", _text, "more names that some metrics are sent under: ai_platform, or nothing")
    metric_interval_s: float = _row(10.0, _seconds, "how often metrics are sent")
    dimension_limit: int = _row(
        50, _count, "values that a metric's dimension keeps, such as routes; what comes later is sent as other"
    )
    dimension_values: dict[str, str] = _row(
        {}, _pairs, "values that are always kept, by field: route=/chat|/search,team=core|growth"
    )
    dimension_file: str = _row(
        "", _text, "list of the values kept, to be shared by the hosts of a service; empty means below the home"
    )
    trace_ratio: float = _row(
        1.0, _ratio, "share of traces the trace sinks keep beside those in error, slow or expensive; 1 keeps all"
    )
    trace_slow_ms: float = _row(10_000.0, _millis, "a trace with a request or call this long is always kept")
    trace_expensive_usd: Decimal = _row(Decimal("1.00"), _usd, "a trace that cost this much is always kept")
    trace_wait_s: float = _row(300.0, _seconds, "how long calls wait for the request they belong to")
    xray_route: str = _row(
        "segments",
        _choice("segments", "otlp"),
        "how the xray sink sends: segments by PutTraceSegments, or otlp, for which the account needs Transaction Search",
    )
    otlp_endpoint: str = _row(
        "",
        _text,
        "where the otlp sink posts traces, such as https://collector:4318; empty means what OTEL_EXPORTER_OTLP_* say",
    )
    otlp_headers: dict[str, str] = _row(
        {}, _pairs, "headers of the otlp sink, such as keys, besides OTEL_EXPORTER_OTLP_HEADERS", secret=True
    )
    statsd_address: str = _row(
        "",
        _statsd,
        "where the datadog_metrics sink sends; empty means DD_DOGSTATSD_URL, then DD_AGENT_HOST and DD_DOGSTATSD_PORT",
    )
    datadog_otlp_endpoint: str = _row(
        "", _text, "where the datadog_traces sink posts; empty means port 4318 of DD_AGENT_HOST, or of this host"
    )
    datadog_log_ids: bool = _row(
        False, _bool, "put dd.trace_id, dd.span_id, dd.service, dd.env and dd.version on log lines of the log sinks"
    )
    lake_url: str = _row(
        "", _lake, "where the lake is: a folder, or s3://bucket/prefix; empty means the folder lake below the home"
    )
    catalog: str = _row(
        "auto",
        _choice("auto", "sqlite", "glue"),
        "the lake's Iceberg catalog: a SQLite file, or AWS Glue; auto takes glue where the lake is on S3",
    )
    glue_database: str = _row("tollmeter", _text, "Glue database of the lake's tables")
    role_arn: str = _row("", _text, "IAM role that the lake and its sources are read and written under; empty: our own")
    endpoint_url: str = _row(
        "", _text, "endpoint of S3, Glue, SQS and STS for the lake, such as a VPC endpoint", env="AWS_ENDPOINT_URL"
    )
    parquet_codec: str = _row(
        "zstd", _choice("zstd", "snappy", "gzip", "none"), "Parquet compression; snappy where Redshift Spectrum reads"
    )
    timezone: str = _row("UTC", _text, "the one reporting time zone, an IANA name")
    engine: str = _row(
        "duckdb",
        _choice("duckdb", "redshift", "redshift-data"),
        "what runs queries: DuckDB on the lake of the home, Redshift by its driver, or Redshift by its Data API",
    )
    redshift_host: str = _row("", _text, "endpoint of the cluster or workgroup; with IAM it is looked up")
    redshift_port: int = _row(5439, _count, "port of that endpoint")
    redshift_database: str = _row("analytics", _text, "database of the views")
    redshift_workgroup: str = _row("", _text, "workgroup of Redshift Serverless, such as ai-platform-workgroup")
    redshift_cluster: str = _row("", _text, "provisioned cluster, where there is no workgroup")
    redshift_user: str = _row(
        "", _text, "database user; in the Data API and with IAM only for a cluster, whose temporary credentials it gets"
    )
    redshift_password: str = _row(
        "", _text, "password of that user; empty means credentials of IAM, from the workgroup or cluster", secret=True
    )
    redshift_secret_arn: str = _row("", _text, "secret that the Data API signs in with, instead of IAM")
    redshift_sslmode: str = _row(
        "verify-full", _choice("verify-full", "verify-ca", "disable"), "how the server's certificate is checked"
    )
    redshift_timeout_s: float = _row(300.0, _seconds, "a statement that runs for longer is cancelled")
    redshift_schema: str = _row("public", _text, "schema of the views that queries read")
    redshift_external_schema: str = _row("tollmeter_lake", _text, "external schema over the Glue database of the lake")
    redshift_spectrum_schema: str = _row("spectrum_schema", _text, "schema of the view raw_requests")
    redshift_native_schema: str = _row(
        "tollmeter_native", _text, "schema of native tables, for those who copy into them"
    )
    redshift_glue_database: str = _row(
        "tollmeter", _text, "database of the Glue catalog that holds the lake, such as ai_platform_lake"
    )
    redshift_iam_role: str = _row(
        "default", _text, "ARN of the role Redshift reads and writes S3 with; default is the one set for it"
    )
    redshift_reader_role: str = _row(
        "tollmeter_reader", _text, "database role that may read the views, and nothing else"
    )
    price_overlay: str = _row(
        "", _text, "YAML or JSON file of your own prices, laid over the shipped price book; see docs/pricing.md"
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **arguments: Any) -> Settings:
        """Settings from arguments, then the environment, then defaults.

        Raises:
            SettingError: a value is not allowed; the message names the value and what was allowed.
            UnknownNameError: there is no setting of that name.

        >>> Settings.load({"TOLLMETER_SEGMENT_MAX_BYTES": "1M"}, service="chat").segment_max_bytes
        1048576
        """
        source = os.environ if environ is None else environ
        known = {row.name: row for row in fields(cls)}
        for name in arguments:
            if name not in known:
                raise UnknownNameError("setting", name, known)
        values: dict[str, Any] = {name: _value_of(row, source) for name, row in known.items()}
        values |= {name: _checked(known[name], value) for name, value in arguments.items() if value is not None}
        return cls(**values)


def allowed_values(row: Field[Any]) -> str:
    """What a setting accepts, in words."""
    parse = row.metadata["parse"]
    return _ALLOWED.get(parse) or str(parse.__doc__)


def env_names(row: Field[Any]) -> list[str]:
    """The environment variables a setting is read from, in order."""
    return [PREFIX + row.name.upper(), *str(row.metadata["env"]).split()]


def default_of(row: Field[Any]) -> object:
    """The default of one setting."""
    return row.default if row.default is not MISSING else {}


def _value_of(row: Field[Any], environ: Mapping[str, str]) -> object:
    for name in env_names(row):
        if environ.get(name):
            return _parsed(row, name, environ[name])
    return default_of(row)


def _parsed(row: Field[Any], name: str, text: str) -> object:
    try:
        return row.metadata["parse"](text)
    except (KeyError, ValueError, ArithmeticError):
        raise SettingError(name, HIDDEN if row.metadata["secret"] else text, allowed_values(row)) from None


def _checked(row: Field[Any], value: object) -> object:
    if isinstance(value, str):
        return _parsed(row, row.name, value)
    if isinstance(value, dict) and row.metadata["parse"] is _hosts:
        return _parsed(row, row.name, ",".join(f"{host}={provider}" for host, provider in value.items()))
    if isinstance(value, tuple | list) and row.metadata["parse"] in (_plain_hosts, _styles):
        return _parsed(row, row.name, ",".join(value)) if value else ()
    default = default_of(row)
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(value, type(default)) or (isinstance(default, float) and isinstance(value, int)):
        return value
    raise SettingError(row.name, HIDDEN if row.metadata["secret"] else value, allowed_values(row))
