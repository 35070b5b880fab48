-- name: latency_over_time
-- purpose: p50, p95 and p99 of call latency and of time to first token per bucket of time, to 1 %, from rollups
-- param since timestamp = -30d: calls from that minute on
-- param until timestamp = now: calls of minutes that begin before then
-- param bucket minute|hour|day = day: width of a bucket
-- param model text = '': models, separated by commas; empty means all
-- column bucket timestamp: start of the bucket, UTC
-- column calls bigint: model calls
-- column p50_latency_ms double: half of the calls ended within this time
-- column p95_latency_ms double: 95 of 100 calls ended within this time
-- column p99_latency_ms double: 99 of 100 calls ended within this time
-- column p50_ttft_ms double: half of the streams showed their first token within this time
-- column p95_ttft_ms double: 95 of 100 streams showed their first token within this time
-- column p99_ttft_ms double: 99 of 100 streams showed their first token within this time

-- Whole hours from the hourly rollup, the minutes before and after them from the minutes' own.
-- A percentile is the middle of the first log bucket up to which that share of all values lies.
WITH samples AS (
  SELECT hour AS moment, metric, bucket AS log_bucket, "count" AS n
  FROM rollup_latency_hourly
  WHERE CAST(:bucket AS VARCHAR) <> 'minute'
    AND metric IN ('llm.latency_ms', 'llm.ttft_ms')
    AND hour >= DATE_TRUNC('hour', CAST(:since AS TIMESTAMP) + INTERVAL '59 minutes')
    AND hour < DATE_TRUNC('hour', CAST(:until AS TIMESTAMP))
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
  UNION ALL
  SELECT "minute", metric, bucket, "count"
  FROM rollup_metrics_minute
  WHERE metric IN ('llm.latency_ms', 'llm.ttft_ms')
    AND (
      CAST(:bucket AS VARCHAR) = 'minute'
      OR "minute" < DATE_TRUNC('hour', CAST(:since AS TIMESTAMP) + INTERVAL '59 minutes')
      OR "minute" >= DATE_TRUNC('hour', CAST(:until AS TIMESTAMP))
    )
    AND "minute" >= DATE_TRUNC('minute', CAST(:since AS TIMESTAMP))
    AND "minute" < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND (CAST(:bucket AS VARCHAR) = 'minute' OR event_date IN (CAST(:since AS DATE), CAST(:until AS DATE)))
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
),
buckets AS (
  SELECT
    CASE CAST(:bucket AS VARCHAR)
      WHEN 'minute' THEN DATE_TRUNC('minute', moment)
      WHEN 'hour' THEN DATE_TRUNC('hour', moment)
      ELSE DATE_TRUNC('day', moment)
    END AS bucket,
    metric,
    log_bucket,
    SUM(n) AS n
  FROM samples
  GROUP BY 1, 2, 3
),
running AS (
  SELECT
    bucket,
    metric,
    log_bucket,
    n,
    SUM(n) OVER (PARTITION BY bucket, metric ORDER BY log_bucket ROWS UNBOUNDED PRECEDING) AS up_to,
    SUM(n) OVER (PARTITION BY bucket, metric) AS total
  FROM buckets
),
chosen AS (
  SELECT
    bucket,
    SUM(CASE WHEN metric = 'llm.latency_ms' THEN n ELSE 0 END) AS calls,
    MIN(CASE WHEN metric = 'llm.latency_ms' AND up_to * 100 >= total * 50 THEN log_bucket END) AS p50_latency,
    MIN(CASE WHEN metric = 'llm.latency_ms' AND up_to * 100 >= total * 95 THEN log_bucket END) AS p95_latency,
    MIN(CASE WHEN metric = 'llm.latency_ms' AND up_to * 100 >= total * 99 THEN log_bucket END) AS p99_latency,
    MIN(CASE WHEN metric = 'llm.ttft_ms' AND up_to * 100 >= total * 50 THEN log_bucket END) AS p50_ttft,
    MIN(CASE WHEN metric = 'llm.ttft_ms' AND up_to * 100 >= total * 95 THEN log_bucket END) AS p95_ttft,
    MIN(CASE WHEN metric = 'llm.ttft_ms' AND up_to * 100 >= total * 99 THEN log_bucket END) AS p99_ttft
  FROM running
  GROUP BY bucket
)
SELECT
  bucket,
  CAST(calls AS BIGINT) AS calls,
  CAST(2 * POWER(1.02, p50_latency) / 2.02 AS DOUBLE PRECISION) AS p50_latency_ms,
  CAST(2 * POWER(1.02, p95_latency) / 2.02 AS DOUBLE PRECISION) AS p95_latency_ms,
  CAST(2 * POWER(1.02, p99_latency) / 2.02 AS DOUBLE PRECISION) AS p99_latency_ms,
  CAST(2 * POWER(1.02, p50_ttft) / 2.02 AS DOUBLE PRECISION) AS p50_ttft_ms,
  CAST(2 * POWER(1.02, p95_ttft) / 2.02 AS DOUBLE PRECISION) AS p95_ttft_ms,
  CAST(2 * POWER(1.02, p99_ttft) / 2.02 AS DOUBLE PRECISION) AS p99_ttft_ms
FROM chosen
ORDER BY bucket
