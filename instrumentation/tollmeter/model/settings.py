"""The settings table: one row per setting, read from `TOLLMETER_*` or given as an argument of the same name.

`docs/reference/settings.md` is generated from it. An argument beats the environment, which beats the default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tollmeter.model.errors import UnknownNameError
from tollmeter.model.names import PROPAGATION_DATADOG, PROPAGATION_TRACECONTEXT, PROPAGATION_XRAY
from tollmeter.model.setting_row import Row
from tollmeter.model.values import (
    BOOL,
    BYTES,
    COUNT,
    DAYS,
    HOSTS,
    LAKE,
    MILLIS,
    NAMES,
    PAIRS,
    PATH,
    PROVIDER_HOSTS,
    RATIO,
    SECONDS,
    STATSD,
    STYLES,
    TAG,
    TEXT,
    USD,
    ZONE,
    Kind,
    choice,
)


def _row(default: Any, kind: Kind, doc: str, *, env: str = "", secret: bool = False) -> Any:
    return Row(default, kind, doc, env, is_secret=secret)


class Settings:
    """All settings, none of which changes; build it with `Settings.load`.

    A plain class over its rows: the methods that `dataclass` writes for as many fields take milliseconds to compile.
    """

    home: str = _row("", TEXT, "folder of all state; empty means ~/.tollmeter")
    service: str = _row(
        "",
        TEXT,
        "name of this service; empty means OTEL_SERVICE_NAME, DD_SERVICE, then the app's title",
        env="OTEL_SERVICE_NAME DD_SERVICE AWS_LAMBDA_FUNCTION_NAME",
    )
    environment: str = _row("", TEXT, "deployment environment, such as production", env="DD_ENV")
    version: str = _row("", TEXT, "version of the service", env="DD_VERSION AWS_LAMBDA_FUNCTION_VERSION")
    region: str = _row("", TEXT, "cloud region", env="AWS_REGION AWS_DEFAULT_REGION")
    account_id: str = _row("", TEXT, "cloud account", env="AWS_ACCOUNT_ID")
    mode: str = _row(
        "auto",
        choice("auto", "lean", "otel"),
        "auto takes otel where a TracerProvider or OTEL_* exporter settings exist, else lean",
    )
    record_unsampled: str = _row(
        "auto",
        choice("auto", "always", "never"),
        "in OTel mode, record spans that the sampler drops, without exporting them, so that calls and steps are told"
        " of by them too; auto does where an instrumentation of model calls is installed, or we made the provider",
    )
    route: str = _row(
        "auto",
        choice("auto", "file", "stdout"),
        "where events go: the spool on disk, or stdout where no disk is writable, and in Lambda",
    )
    emf: str = _row(
        "auto",
        choice("auto", "always", "never"),
        "whether events on stdout are their own CloudWatch metrics (embedded metric format); auto does so in Lambda",
    )
    team: str = _row("", TEXT, "team every event is attributed to, unless annotated otherwise")
    feature: str = _row("", TEXT, "feature every event is attributed to, unless annotated otherwise")
    tags: dict[str, str] = _row({}, PAIRS, "tags on every event")
    headers: dict[str, str] = _row({}, PAIRS, "attribution from request headers: field=header")
    claims: dict[str, str] = _row(
        {},
        PAIRS,
        "attribution from claims of the bearer token: field=claim; the token is not verified, the service does that",
    )
    baggage: dict[str, str] = _row({}, PAIRS, "attribution from W3C baggage: field=key")
    propagation: tuple[str, ...] = _row(
        (PROPAGATION_TRACECONTEXT, PROPAGATION_XRAY, PROPAGATION_DATADOG),
        STYLES,
        "trace headers of requests that are continued, the first that is found winning: docs/propagation.md",
    )
    propagate: tuple[str, ...] = _row(
        (PROPAGATION_TRACECONTEXT,), STYLES, "trace headers that model calls carry to propagate_hosts"
    )
    propagate_hosts: tuple[str, ...] = _row(
        (), HOSTS, "hosts that model calls tell their trace, and propagate_baggage; * means all"
    )
    propagate_baggage: dict[str, str] = _row(
        {}, PAIRS, "attribution that model calls carry to propagate_hosts as W3C baggage: field=key"
    )
    providers: dict[str, str] = _row(
        {},
        PROVIDER_HOSTS,
        "more hosts of providers: host=provider; a host may have a port, a path prefix, or be *.suffix: docs/taps.md",
    )
    include_usage: bool = _row(
        False,
        BOOL,
        "ask OpenAI and Azure for the usage of each stream that did not, and keep what answers it from the caller",
    )
    include_usage_hosts: tuple[str, ...] = _row(
        (), NAMES, "more hosts that accept stream_options.include_usage, with their port where it is not the usual"
    )
    estimate_usage: bool = _row(
        True, BOOL, "estimate usage from the text where an answer tells none, and mark it; false leaves it missing"
    )
    capture_content: str = _row(
        "off",
        choice("off", "input", "output", "all"),
        "record the text of model calls, redacted: what was asked, what was answered, or both; see docs/privacy.md",
    )
    capture_ratio: float = _row(1.0, RATIO, "share of traces whose content is recorded")
    capture_max_bytes: int = _row(
        8 << 10, BYTES, "most bytes of what was asked, and of what was answered, for each call; 16,383 at most"
    )
    redactors: tuple[Any, ...] = _row(
        (),
        NAMES,
        "email, phone, card, iban, ip, secret or module:function, in their order; empty means the first four on content"
        " alone, and those named run on attribution, tags, steps and comments too; secrets are always replaced",
    )
    exclude_routes: tuple[str, ...] = _row((), NAMES, "paths that are not recorded, such as /health")
    max_steps: int = _row(128, COUNT, "steps kept per request; more are counted")
    segment_max_bytes: int = _row(16 << 20, BYTES, "a spool segment is closed at this size")
    segment_max_age_s: float = _row(30.0, SECONDS, "a spool segment is closed at this age")
    spool_max_bytes: int = _row(
        1 << 30, BYTES, "disk the spool of one service may take; when full, the newest events are dropped and counted"
    )
    fdatasync: bool = _row(False, BOOL, "sync segments to disk in groups, against power loss")
    forward: bool = _row(False, BOOL, "start a forwarder as a child process of the service")
    sinks: tuple[str, ...] = _row(
        ("raw",),
        NAMES,
        "where the forwarder ships: raw, s3, firehose, stdout, cloudwatch_logs, cloudwatch_metrics, cloudwatch_emf, xray, otlp, datadog_metrics, datadog_traces",
    )
    raw_url: str = _row("", TEXT, "where the s3 sink stores raw objects, such as s3://bucket/raw")
    kms_key: str = _row("", TEXT, "KMS key that objects in S3 are encrypted with; empty means the bucket's own setting")
    firehose_stream: str = _row("", TEXT, "delivery stream of the firehose sink")
    forward_interval_s: float = _row(1.0, SECONDS, "how often the forwarder looks at the spool")
    forward_grace_s: float = _row(
        5.0,
        SECONDS,
        "how long a forwarder that was told to stop goes on while a service writes or a sink has not passed all",
    )
    health_port: int = _row(0, COUNT, "port the forwarder answers GET /health at; 0 opens none")
    health_host: str = _row("127.0.0.1", TEXT, "address the health port is bound to")
    health_max_failing_s: float = _row(
        300.0, SECONDS, "the forwarder is unhealthy when a durable sink has been failing for longer"
    )
    sink_max_lag_s: float = _row(
        86400.0,
        SECONDS,
        "how long a sink may hold segments back before it is passed over and what it missed is counted",
    )
    cloudwatch_namespace: str = _row("Tollmeter", TEXT, "CloudWatch namespace of the metrics")
    cloudwatch_log_group: str = _row(
        "/tollmeter/{service}",
        TEXT,
        "log group of the cloudwatch_logs and emf sinks; {service} is the event's service",
    )
    cloudwatch_retention_days: int = _row(
        30, COUNT, "retention of log groups that are made; one that exists keeps its own, and 0 means for ever"
    )
    metric_preset: str = _row("", TEXT, "more names that some metrics are sent under: ai_platform, or nothing")
    metric_interval_s: float = _row(10.0, SECONDS, "how often metrics are sent")
    dimension_limit: int = _row(
        50, COUNT, "values that a metric's dimension keeps, such as routes; what comes later is sent as other"
    )
    dimension_values: dict[str, str] = _row(
        {}, PAIRS, "values that are always kept, by field: route=/chat|/search,team=core|growth"
    )
    dimension_file: str = _row(
        "", TEXT, "list of the values kept, to be shared by the hosts of a service; empty means below the home"
    )
    trace_ratio: float = _row(
        1.0, RATIO, "share of traces the trace sinks keep beside those in error, slow or expensive; 1 keeps all"
    )
    trace_slow_ms: float = _row(10_000.0, MILLIS, "a trace with a request or call this long is always kept")
    trace_expensive_usd: Decimal = _row(Decimal("1.00"), USD, "a trace that cost this much is always kept")
    trace_wait_s: float = _row(300.0, SECONDS, "how long calls wait for the request they belong to")
    xray_route: str = _row(
        "segments",
        choice("segments", "otlp"),
        "how the xray sink sends: segments by PutTraceSegments, or otlp, for which the account needs Transaction Search",
    )
    otlp_endpoint: str = _row(
        "",
        TEXT,
        "where the otlp sink posts traces, such as https://collector:4318; empty means what OTEL_EXPORTER_OTLP_* say",
    )
    otlp_headers: dict[str, str] = _row(
        {}, PAIRS, "headers of the otlp sink, such as keys, besides OTEL_EXPORTER_OTLP_HEADERS", secret=True
    )
    statsd_address: str = _row(
        "",
        STATSD,
        "where the datadog_metrics sink sends; empty means DD_DOGSTATSD_URL, then DD_AGENT_HOST and DD_DOGSTATSD_PORT",
    )
    datadog_otlp_endpoint: str = _row(
        "", TEXT, "where the datadog_traces sink posts; empty means port 4318 of DD_AGENT_HOST, or of this host"
    )
    datadog_log_ids: bool = _row(
        False, BOOL, "put dd.trace_id, dd.span_id, dd.service, dd.env and dd.version on log lines of the log sinks"
    )
    lake_url: str = _row(
        "", LAKE, "where the lake is: a folder, or s3://bucket/prefix; empty means the folder lake below the home"
    )
    catalog: str = _row(
        "auto",
        choice("auto", "sqlite", "glue"),
        "the lake's Iceberg catalog: a SQLite file, or AWS Glue; auto takes glue where the lake is on S3",
    )
    glue_database: str = _row("tollmeter", TEXT, "Glue database of the lake's tables, such as ai_platform_lake")
    role_arn: str = _row("", TEXT, "IAM role that the lake and its sources are read and written under; empty: our own")
    endpoint_url: str = _row(
        "", TEXT, "endpoint of S3, Glue, SQS and STS for the lake, such as a VPC endpoint", env="AWS_ENDPOINT_URL"
    )
    etl_max_memory: int = _row(0, BYTES, "memory that an etl run is to stay below, about; 0 means 1.5G")
    max_quarantined_ratio: float = _row(
        0.05, RATIO, "etl run ends with exit code 1 where a larger share of the lines read is quarantined"
    )
    parquet_codec: str = _row(
        "zstd", choice("zstd", "snappy", "gzip", "none"), "Parquet compression; snappy where Redshift Spectrum reads"
    )
    compact_target_bytes: int = _row(256 << 20, BYTES, "size of the data files that compaction writes; 64M to 1G")
    compact_small_bytes: int = _row(64 << 20, BYTES, "a data file below this size is small, and compacted with others")
    compact_min_files: int = _row(
        5, COUNT, "small files that a partition in use must have to be worth compacting; a settled one needs two"
    )
    maintenance_memory_bytes: int = _row(
        512 << 20, BYTES, "memory of a compaction's sort; what does not fit goes to the disk"
    )
    snapshot_max_age_s: float = _row(
        432_000.0, SECONDS, "a snapshot that was replaced longer ago is expired, and the files that only it needed go"
    )
    snapshot_min_age_s: float = _row(
        3600.0, SECONDS, "a snapshot that was replaced more recently stays whatever their number: readers may be at it"
    )
    snapshot_max_count: int = _row(
        50,
        COUNT,
        "snapshots that a table keeps; etl run expires older ones when there are half as many more; 0: no end",
    )
    vacuum_grace_s: float = _row(
        259_200.0, SECONDS, "a file that no table knows is removed at this age; longer than any run takes"
    )
    retention_days: dict[str, str] = _row(
        {}, DAYS, "days that rows are kept, by table, such as llm_calls=400,quarantine=30; vacuum drops older ones"
    )
    raw_retention_days: int = _row(
        0, COUNT, "days that vacuum keeps raw objects once they are in the ledger; 0 keeps them for ever"
    )
    timezone: str = _row("UTC", ZONE, "the one reporting time zone: days of rollups and reports")
    engine: str = _row(
        "duckdb",
        choice("duckdb", "redshift", "redshift-data"),
        "what runs queries: DuckDB on the lake of the home, Redshift by its driver, or Redshift by its Data API",
    )
    redshift_host: str = _row("", TEXT, "endpoint of the cluster or workgroup; with IAM it is looked up")
    redshift_port: int = _row(5439, COUNT, "port of that endpoint")
    redshift_database: str = _row("analytics", TEXT, "database of the views")
    redshift_workgroup: str = _row("", TEXT, "workgroup of Redshift Serverless, such as ai-platform-workgroup")
    redshift_cluster: str = _row("", TEXT, "provisioned cluster, where there is no workgroup")
    redshift_user: str = _row(
        "", TEXT, "database user; in the Data API and with IAM only for a cluster, whose temporary credentials it gets"
    )
    redshift_password: str = _row(
        "", TEXT, "password of that user; empty means credentials of IAM, from the workgroup or cluster", secret=True
    )
    redshift_secret_arn: str = _row("", TEXT, "secret that the Data API signs in with, instead of IAM")
    redshift_sslmode: str = _row(
        "verify-full", choice("verify-full", "verify-ca", "disable"), "how the server's certificate is checked"
    )
    redshift_timeout_s: float = _row(300.0, SECONDS, "a statement that runs for longer is cancelled")
    redshift_schema: str = _row("public", TEXT, "schema of the views that queries read")
    redshift_external_schema: str = _row("tollmeter_lake", TEXT, "external schema over the Glue database of the lake")
    redshift_spectrum_schema: str = _row("spectrum_schema", TEXT, "schema of the view raw_requests")
    redshift_native_schema: str = _row(
        "tollmeter_native", TEXT, "schema of native tables, for those who copy into them"
    )
    redshift_iam_role: str = _row(
        "default", TEXT, "ARN of the role Redshift reads and writes S3 with; default is the one set for it"
    )
    redshift_reader_role: str = _row(
        "tollmeter_reader", TEXT, "database role that may read the views, and nothing else"
    )
    auth_issuer: str = _row(
        "",
        TEXT,
        "issuer (OpenID Connect) whose tokens let viewers of the dashboard in, such as"
        " https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12: docs/dashboard-deploy.md",
    )
    auth_audience: tuple[str, ...] = _row((), NAMES, "client ids whose tokens are for the dashboard")
    auth_jwks_url: str = _row("", TEXT, "where the issuer's keys stand; empty means where its configuration says")
    auth_alb_arn: str = _row(
        "", TEXT, "ARN of the Application Load Balancer whose x-amzn-oidc-data lets viewers of the dashboard in"
    )
    auth_alb_keys_url: str = _row("", TEXT, "where load balancers' keys stand; empty means the endpoint of the region")
    auth_tenant_claim: str = _row(
        "",
        TEXT,
        "claim that names the tenants whose rows a viewer sees, such as custom:tenant; who lacks it sees none. Empty:"
        " who signs in sees every row",
    )
    auth_admin: dict[str, str] = _row(
        {}, PAIRS, "claims whose bearers see every row, such as cognito:groups=tollmeter-admins"
    )
    dashboard_proxies: int = _row(
        0, COUNT, "proxies in front of the dashboard whose X-Forwarded-* are believed; 1 behind a load balancer"
    )
    dashboard_prefix: str = _row("/", PATH, "path that the dashboard is served below, such as /tollmeter/")
    dashboard_threads: int = _row(8, COUNT, "requests that the dashboard answers at a time")
    dashboard_memory_bytes: int = _row(
        0, BYTES, "memory that DuckDB may take in the dashboard; 0 means its own rule, four fifths of the machine's"
    )
    dashboard_cache_bytes: int = _row(256 << 20, BYTES, "memory that answers kept by the dashboard may take")
    dashboard_cache_age_s: float = _row(
        3600.0, SECONDS, "an answer kept by the dashboard is asked anew at this age, even where the lake is the same"
    )
    slo_target: float = _row(
        0.995,
        RATIO,
        "share of requests that shall not be answered with 5xx; the dashboard's error budget is of 30 days",
    )
    business_event_tag: str = _row(
        "",
        TAG,
        "tag of requests that names the business event they ended in: the dashboard tells what one of each costs",
    )
    dashboard_stale_s: float = _row(
        60.0,
        SECONDS,
        "on Redshift without a lake_url to look at, how long an answer may be kept: the dashboard cannot see that the"
        " lake has changed",
    )
    console_region: str = _row(
        "", TEXT, "region of the AWS console that the dashboard's links to X-Ray lead to; empty means that of the call"
    )
    datadog_site: str = _row(
        "", TEXT, "Datadog site that the dashboard's links to traces lead to, such as datadoghq.eu", env="DD_SITE"
    )
    price_overlay: str = _row(
        "", TEXT, "YAML or JSON file of your own prices, laid over the shipped price book; see docs/pricing.md"
    )
    budgets: str = _row(
        "", TEXT, "YAML or JSON file of budgets, for the dashboard's forecast and for alarms; see docs/budgets.md"
    )

    def __init__(self, **values: Any) -> None:
        vars(self).update({name: row.default for name, row in ROWS.items()} | values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name}: settings do not change")

    def __repr__(self) -> str:
        told = (f"{row.name}={getattr(self, row.name)!r}" for row in ROWS.values() if not row.is_secret)
        return f"Settings({', '.join(told)})"

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
        for name in arguments:
            if name not in ROWS:
                raise UnknownNameError("setting", name, ROWS)
        values = {name: row.read(source) for name, row in ROWS.items()}
        return cls(**values | {name: ROWS[name].check(value) for name, value in arguments.items() if value is not None})

    def replace(self, **changes: Any) -> Settings:
        """The same settings but for some."""
        return Settings(**vars(self) | changes)


ROWS: Final[Mapping[str, Row]] = {name: row for name, row in vars(Settings).items() if isinstance(row, Row)}
"""Every setting by its name, in the order of the table."""
