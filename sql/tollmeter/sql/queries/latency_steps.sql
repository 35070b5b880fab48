-- name: latency_steps
-- purpose: how many values of a latency fall into each logarithmic step, by bucket of time, under any filters
-- param metric text = llm.latency_ms: what is measured; llm.ttft_ms, llm.output_tokens_per_s or http.duration_ms besides
-- param since timestamp: calls from then on
-- param until timestamp: calls before then
-- param source hours|days|rows = rows: the rollup of whole hours or days where it has the dimensions asked; else rows
-- param since_whole timestamp = 2200-01-01: start of the first whole hour or day; rows are read before it
-- param until_whole timestamp = 2200-01-01: end of the last whole hour or day; rows are read from then on
-- param since_day date = 2200-01-01: of the source by day the first whole day of the reporting time zone
-- param until_day date = 2200-01-01: of the source by day the day after the last whole one
-- param rows read|skipped = read: skipped where the span is whole hours or days
-- param bucket all|minute|hour|day|month = day: width of a bucket
-- param zone text = UTC: time zone in which days and months begin, an IANA name
-- param hours_begin 0|15|30|45 = 0: minute of UTC at which the zone's hours begin
-- param model text = '': values, each with U+001F before it and after the last; empty means all; so all that follow
-- param request_model text = '': values
-- param provider text = '': values
-- param service text = '': values
-- param environment text = '': values
-- param version text = '': values
-- param region text = '': values
-- param route text = '': values
-- param tenant text = '': values
-- param team text = '': values
-- param feature text = '': values
-- param user text = '': values
-- param session text = '': values
-- param prompt text = '': values
-- param prompt_version text = '': values
-- param experiment text = '': values
-- param variant text = '': values
-- param status text = '': values
-- param error_type text = '': values
-- param stream text = '': values
-- column bucket timestamp: start of the bucket: UTC; of days and months as the zone's clocks show it
-- column step bigint: number of the step: values in (1.02^(8 step), 1.02^(8 step + 8)]
-- column samples bigint: calls, or requests, whose value lies in it

-- Whole hours or days come from a rollup, what lies before and after them from rows. Eight of its buckets are a step.
WITH parts AS (
  SELECT
    hour AS moment, CAST(NULL AS DATE) AS "day", model, CAST(NULL AS VARCHAR) AS request_model, provider, service,
    environment,
    CAST(NULL AS VARCHAR) AS version, CAST(NULL AS VARCHAR) AS region, route, CAST(NULL AS VARCHAR) AS tenant_id,
    CAST(NULL AS VARCHAR) AS team, CAST(NULL AS VARCHAR) AS feature, CAST(NULL AS VARCHAR) AS user_id,
    CAST(NULL AS VARCHAR) AS session_id, CAST(NULL AS VARCHAR) AS prompt_name,
    CAST(NULL AS VARCHAR) AS prompt_version, CAST(NULL AS VARCHAR) AS experiment, CAST(NULL AS VARCHAR) AS variant,
    CAST(NULL AS VARCHAR) AS status, CAST(NULL AS VARCHAR) AS error_type, CAST(NULL AS VARCHAR) AS stream,
    bucket AS log_bucket, "count" AS n
  FROM rollup_latency_hourly
  WHERE CAST(:source AS VARCHAR) = 'hours'
    AND metric = CAST(:metric AS VARCHAR)
    AND hour >= CAST(:since_whole AS TIMESTAMP)
    AND hour < CAST(:until_whole AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since_whole AS DATE) AND CAST(:until_whole AS DATE)
  UNION ALL
  SELECT
    CAST(NULL AS TIMESTAMP), "day", model, NULL, provider, service, environment, NULL, NULL, route, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, bucket, "count"
  FROM rollup_latency_daily
  WHERE CAST(:source AS VARCHAR) = 'days'
    AND metric = CAST(:metric AS VARCHAR)
    AND "day" >= CAST(:since_day AS DATE)
    AND "day" < CAST(:until_day AS DATE)
    AND event_date BETWEEN CAST(:since_day AS DATE) - 1 AND CAST(:until_day AS DATE)
  UNION ALL
  SELECT
    "timestamp", NULL, COALESCE(NULLIF(response_model, ''), NULLIF(request_model, ''), '(unknown)'),
    COALESCE(request_model, ''), COALESCE(provider, ''), service, COALESCE(environment, ''), COALESCE(version, ''),
    COALESCE(region, ''), COALESCE(route, ''), COALESCE(tenant_id, ''), COALESCE(team, ''), COALESCE(feature, ''),
    COALESCE(user_id, ''), COALESCE(session_id, ''), COALESCE(prompt_name, ''), COALESCE(prompt_version, ''),
    COALESCE(experiment, ''), COALESCE(variant, ''), COALESCE(status, ''), COALESCE(error_type, ''),
    CASE WHEN stream THEN 'true' WHEN NOT stream THEN 'false' ELSE '' END,
    CAST(CEIL(LN(GREATEST(measured, 0.001)) / LN(1.02)) AS BIGINT), 1
  FROM (
    SELECT
      *,
      CASE CAST(:metric AS VARCHAR)
        WHEN 'llm.ttft_ms' THEN ttft_ms WHEN 'llm.output_tokens_per_s' THEN output_tokens_per_s ELSE latency_ms
      END AS measured
    FROM llm_calls
  ) AS measured_calls
  WHERE CAST(:rows AS VARCHAR) = 'read'
    AND CAST(:metric AS VARCHAR) <> 'http.duration_ms'
    AND measured IS NOT NULL
    AND (
      (
        "timestamp" >= CAST(:since AS TIMESTAMP) AND "timestamp" < CAST(:since_whole AS TIMESTAMP)
        AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:since_whole AS DATE)
      ) OR (
        "timestamp" >= CAST(:until_whole AS TIMESTAMP) AND "timestamp" < CAST(:until AS TIMESTAMP)
        AND event_date BETWEEN CAST(:until_whole AS DATE) AND CAST(:until AS DATE)
      )
    )
  UNION ALL
  SELECT
    "timestamp", NULL, NULL, NULL, NULL, service, COALESCE(environment, ''), COALESCE(version, ''), COALESCE(region, ''),
    COALESCE(route, ''), COALESCE(tenant_id, ''), COALESCE(team, ''), COALESCE(feature, ''), COALESCE(user_id, ''),
    COALESCE(session_id, ''), COALESCE(prompt_name, ''), COALESCE(prompt_version, ''), COALESCE(experiment, ''),
    COALESCE(variant, ''), NULL, NULL, NULL, CAST(CEIL(LN(GREATEST(duration_ms, 0.001)) / LN(1.02)) AS BIGINT), 1
  FROM requests
  WHERE CAST(:rows AS VARCHAR) = 'read'
    AND CAST(:metric AS VARCHAR) = 'http.duration_ms'
    AND duration_ms IS NOT NULL
    AND (
      (
        "timestamp" >= CAST(:since AS TIMESTAMP) AND "timestamp" < CAST(:since_whole AS TIMESTAMP)
        AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:since_whole AS DATE)
      ) OR (
        "timestamp" >= CAST(:until_whole AS TIMESTAMP) AND "timestamp" < CAST(:until AS TIMESTAMP)
        AND event_date BETWEEN CAST(:until_whole AS DATE) AND CAST(:until AS DATE)
      )
    )
),
named AS (
  SELECT
    CASE
      WHEN CAST(:bucket AS VARCHAR) = 'all' THEN CAST(:since AS TIMESTAMP)
      WHEN CAST(:bucket AS VARCHAR) = 'minute' THEN DATE_TRUNC('minute', moment)
      WHEN CAST(:hours_begin AS VARCHAR) = '15' THEN DATE_TRUNC('hour', moment - INTERVAL '15 minutes') + INTERVAL '15 minutes'
      WHEN CAST(:hours_begin AS VARCHAR) = '30' THEN DATE_TRUNC('hour', moment - INTERVAL '30 minutes') + INTERVAL '30 minutes'
      WHEN CAST(:hours_begin AS VARCHAR) = '45' THEN DATE_TRUNC('hour', moment - INTERVAL '45 minutes') + INTERVAL '45 minutes'
      ELSE DATE_TRUNC('hour', moment)
    END AS slot,
    CASE WHEN CAST(:bucket AS VARCHAR) <> 'all' THEN "day" END AS "day",
    log_bucket,
    n
  FROM parts
  WHERE (CAST(:model AS VARCHAR) = '' OR STRPOS(CAST(:model AS VARCHAR), CHR(31) || model || CHR(31)) > 0)
    AND (CAST(:request_model AS VARCHAR) = '' OR STRPOS(CAST(:request_model AS VARCHAR), CHR(31) || request_model || CHR(31)) > 0)
    AND (CAST(:provider AS VARCHAR) = '' OR STRPOS(CAST(:provider AS VARCHAR), CHR(31) || provider || CHR(31)) > 0)
    AND (CAST(:service AS VARCHAR) = '' OR STRPOS(CAST(:service AS VARCHAR), CHR(31) || service || CHR(31)) > 0)
    AND (CAST(:environment AS VARCHAR) = '' OR STRPOS(CAST(:environment AS VARCHAR), CHR(31) || environment || CHR(31)) > 0)
    AND (CAST(:version AS VARCHAR) = '' OR STRPOS(CAST(:version AS VARCHAR), CHR(31) || version || CHR(31)) > 0)
    AND (CAST(:region AS VARCHAR) = '' OR STRPOS(CAST(:region AS VARCHAR), CHR(31) || region || CHR(31)) > 0)
    AND (CAST(:route AS VARCHAR) = '' OR STRPOS(CAST(:route AS VARCHAR), CHR(31) || route || CHR(31)) > 0)
    AND (CAST(:tenant AS VARCHAR) = '' OR STRPOS(CAST(:tenant AS VARCHAR), CHR(31) || tenant_id || CHR(31)) > 0)
    AND (CAST(:team AS VARCHAR) = '' OR STRPOS(CAST(:team AS VARCHAR), CHR(31) || team || CHR(31)) > 0)
    AND (CAST(:feature AS VARCHAR) = '' OR STRPOS(CAST(:feature AS VARCHAR), CHR(31) || feature || CHR(31)) > 0)
    AND (CAST(:user AS VARCHAR) = '' OR STRPOS(CAST(:user AS VARCHAR), CHR(31) || user_id || CHR(31)) > 0)
    AND (CAST(:session AS VARCHAR) = '' OR STRPOS(CAST(:session AS VARCHAR), CHR(31) || session_id || CHR(31)) > 0)
    AND (CAST(:prompt AS VARCHAR) = '' OR STRPOS(CAST(:prompt AS VARCHAR), CHR(31) || prompt_name || CHR(31)) > 0)
    AND (CAST(:prompt_version AS VARCHAR) = '' OR STRPOS(CAST(:prompt_version AS VARCHAR), CHR(31) || prompt_version || CHR(31)) > 0)
    AND (CAST(:experiment AS VARCHAR) = '' OR STRPOS(CAST(:experiment AS VARCHAR), CHR(31) || experiment || CHR(31)) > 0)
    AND (CAST(:variant AS VARCHAR) = '' OR STRPOS(CAST(:variant AS VARCHAR), CHR(31) || variant || CHR(31)) > 0)
    AND (CAST(:status AS VARCHAR) = '' OR STRPOS(CAST(:status AS VARCHAR), CHR(31) || status || CHR(31)) > 0)
    AND (CAST(:error_type AS VARCHAR) = '' OR STRPOS(CAST(:error_type AS VARCHAR), CHR(31) || error_type || CHR(31)) > 0)
    AND (CAST(:stream AS VARCHAR) = '' OR STRPOS(CAST(:stream AS VARCHAR), CHR(31) || stream || CHR(31)) > 0)
),
stepped AS (
  SELECT
    CASE
      WHEN CAST(:bucket AS VARCHAR) IN ('all', 'minute', 'hour') THEN slot
      WHEN CAST(:bucket AS VARCHAR) = 'day' THEN DATE_TRUNC('day', COALESCE(CAST("day" AS TIMESTAMP), CONVERT_TIMEZONE('UTC', CAST(:zone AS VARCHAR), slot)))
      ELSE DATE_TRUNC('month', COALESCE(CAST("day" AS TIMESTAMP), CONVERT_TIMEZONE('UTC', CAST(:zone AS VARCHAR), slot)))
    END AS bucket,
    CAST(FLOOR((log_bucket - 1) / 8.0) AS BIGINT) AS step,
    n
  FROM named
)
SELECT bucket, step, CAST(SUM(n) AS BIGINT) AS samples
FROM stepped
GROUP BY bucket, step
ORDER BY bucket, step
