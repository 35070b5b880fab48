-- name: latency_over_time
-- purpose: p50, p95 and p99 of call latency and of time to first token per bucket of time, oldest first
-- param since timestamp = -30d: calls from then on
-- param until timestamp = now: calls before then
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

-- Redshift wants one ordering for all WITHIN GROUP of a SELECT, so latency and first token stand apart.
WITH calls AS (
  SELECT
    CASE CAST(:bucket AS VARCHAR)
      WHEN 'minute' THEN DATE_TRUNC('minute', created_at)
      WHEN 'hour' THEN DATE_TRUNC('hour', created_at)
      ELSE DATE_TRUNC('day', created_at)
    END AS bucket,
    latency_ms,
    ttft_ms
  FROM llm_requests
  WHERE created_at >= CAST(:since AS TIMESTAMP)
    AND created_at < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
),
latency AS (
  SELECT
    bucket,
    COUNT(*) AS calls,
    PERCENTILE_CONT(0.50) WITHIN GROUP (ORDER BY latency_ms) AS p50_latency_ms,
    PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_latency_ms,
    PERCENTILE_CONT(0.99) WITHIN GROUP (ORDER BY latency_ms) AS p99_latency_ms
  FROM calls
  GROUP BY bucket
),
first_token AS (
  SELECT
    bucket,
    PERCENTILE_CONT(0.50) WITHIN GROUP (ORDER BY ttft_ms) AS p50_ttft_ms,
    PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY ttft_ms) AS p95_ttft_ms,
    PERCENTILE_CONT(0.99) WITHIN GROUP (ORDER BY ttft_ms) AS p99_ttft_ms
  FROM calls
  GROUP BY bucket
)
SELECT
  latency.bucket,
  latency.calls,
  latency.p50_latency_ms,
  latency.p95_latency_ms,
  latency.p99_latency_ms,
  first_token.p50_ttft_ms,
  first_token.p95_ttft_ms,
  first_token.p99_ttft_ms
FROM latency JOIN first_token ON first_token.bucket = latency.bucket
ORDER BY latency.bucket
