-- name: overview
-- purpose: the headline numbers of a period in one row; with a model filter, requests are those that called it
-- param since timestamp = -30d: calls from that minute on
-- param until timestamp = now: calls of minutes that begin before then
-- param model text = '': models, separated by commas; empty means all
-- column spend_usd decimal(38,12): sum over calls with a known cost; null where none has one
-- column requests bigint: requests served
-- column calls bigint: model calls
-- column input_tokens bigint: input tokens, cached ones included
-- column output_tokens bigint: output tokens, reasoning included
-- column cache_read_tokens bigint: part of input_tokens read from the provider's cache
-- column errors bigint: failed calls
-- column error_rate double: failed calls over calls, 0 to 1; null without calls
-- column p95_latency_ms double: 95 of 100 calls ended within this time, to 1 %
-- column p95_ttft_ms double: 95 of 100 streams showed their first token within this time, to 1 %
-- column unpriced_calls bigint: calls whose cost is unknown

-- Whole hours from the hourly rollups, the minutes before and after them from the minutes' own. No rollup knows which
-- requests called a model: those are counted in rows, and only where a model is asked for.
WITH parts AS (
  SELECT
    cost_usd AS spend_usd, calls, input_tokens, output_tokens, cache_read_tokens, errors, unpriced_calls, 0 AS requests
  FROM rollup_calls_hourly
  WHERE hour >= DATE_TRUNC('hour', CAST(:since AS TIMESTAMP) + INTERVAL '59 minutes')
    AND hour < DATE_TRUNC('hour', CAST(:until AS TIMESTAMP))
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
  UNION ALL
  SELECT NULL, 0, 0, 0, 0, 0, 0, requests
  FROM rollup_requests_hourly
  WHERE CAST(:model AS VARCHAR) = ''
    AND hour >= DATE_TRUNC('hour', CAST(:since AS TIMESTAMP) + INTERVAL '59 minutes')
    AND hour < DATE_TRUNC('hour', CAST(:until AS TIMESTAMP))
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  UNION ALL
  SELECT
    CASE WHEN metric = 'llm.cost_usd' THEN "value" END,
    CASE WHEN metric = 'llm.calls' THEN "count" ELSE 0 END,
    CASE WHEN metric = 'llm.input_tokens' THEN "value" ELSE 0 END,
    CASE WHEN metric = 'llm.output_tokens' THEN "value" ELSE 0 END,
    CASE WHEN metric = 'llm.cache_read_tokens' THEN "value" ELSE 0 END,
    CASE WHEN metric = 'llm.errors' THEN "count" ELSE 0 END,
    CASE WHEN metric = 'llm.calls' THEN "count" WHEN metric = 'llm.cost_usd' THEN -"count" ELSE 0 END,
    CASE WHEN metric = 'http.requests' THEN "count" ELSE 0 END
  FROM rollup_metrics_minute
  WHERE metric IN (
      'llm.calls', 'llm.errors', 'llm.cost_usd', 'llm.input_tokens', 'llm.output_tokens', 'llm.cache_read_tokens',
      'http.requests'
    )
    AND (
      (
        "minute" >= DATE_TRUNC('minute', CAST(:since AS TIMESTAMP))
        AND "minute" < DATE_TRUNC('hour', CAST(:since AS TIMESTAMP) + INTERVAL '59 minutes')
      ) OR (
        "minute" >= DATE_TRUNC('hour', CAST(:until AS TIMESTAMP))
        AND "minute" >= DATE_TRUNC('hour', CAST(:since AS TIMESTAMP) + INTERVAL '59 minutes')
      )
    )
    AND "minute" < CAST(:until AS TIMESTAMP)
    AND event_date IN (CAST(:since AS DATE), CAST(:until AS DATE))
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
),
sums AS (
  SELECT
    SUM(spend_usd) AS spend_usd,
    CAST(COALESCE(SUM(calls), 0) AS BIGINT) AS calls,
    CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT) AS input_tokens,
    CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT) AS output_tokens,
    CAST(COALESCE(SUM(cache_read_tokens), 0) AS BIGINT) AS cache_read_tokens,
    CAST(COALESCE(SUM(errors), 0) AS BIGINT) AS errors,
    CAST(COALESCE(SUM(unpriced_calls), 0) AS BIGINT) AS unpriced_calls,
    CAST(COALESCE(SUM(requests), 0) AS BIGINT) AS requests
  FROM parts
),
callers AS (
  SELECT COUNT(*) AS requests
  FROM requests
  WHERE CAST(:model AS VARCHAR) <> ''
    AND "timestamp" >= DATE_TRUNC('minute', CAST(:since AS TIMESTAMP))
    AND "timestamp" < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND request_id IN (
      SELECT request_id
      FROM llm_requests
      WHERE CAST(:model AS VARCHAR) <> ''
        AND request_id <> ''
        AND created_at >= DATE_TRUNC('minute', CAST(:since AS TIMESTAMP))
        AND created_at < CAST(:until AS TIMESTAMP)
        AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
        AND STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0
    )
),
samples AS (
  SELECT metric, bucket, "count"
  FROM rollup_latency_hourly
  WHERE metric IN ('llm.latency_ms', 'llm.ttft_ms')
    AND hour >= DATE_TRUNC('hour', CAST(:since AS TIMESTAMP) + INTERVAL '59 minutes')
    AND hour < DATE_TRUNC('hour', CAST(:until AS TIMESTAMP))
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
  UNION ALL
  SELECT metric, bucket, "count"
  FROM rollup_metrics_minute
  WHERE metric IN ('llm.latency_ms', 'llm.ttft_ms')
    AND (
      (
        "minute" >= DATE_TRUNC('minute', CAST(:since AS TIMESTAMP))
        AND "minute" < DATE_TRUNC('hour', CAST(:since AS TIMESTAMP) + INTERVAL '59 minutes')
      ) OR (
        "minute" >= DATE_TRUNC('hour', CAST(:until AS TIMESTAMP))
        AND "minute" >= DATE_TRUNC('hour', CAST(:since AS TIMESTAMP) + INTERVAL '59 minutes')
      )
    )
    AND "minute" < CAST(:until AS TIMESTAMP)
    AND event_date IN (CAST(:since AS DATE), CAST(:until AS DATE))
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
),
buckets AS (
  SELECT metric, bucket, SUM("count") AS n FROM samples GROUP BY metric, bucket
),
running AS (
  SELECT
    metric,
    bucket,
    SUM(n) OVER (PARTITION BY metric ORDER BY bucket ROWS UNBOUNDED PRECEDING) AS up_to,
    SUM(n) OVER (PARTITION BY metric) AS total
  FROM buckets
),
chosen AS (
  SELECT
    MIN(CASE WHEN metric = 'llm.latency_ms' AND up_to * 100 >= total * 95 THEN bucket END) AS p95_latency,
    MIN(CASE WHEN metric = 'llm.ttft_ms' AND up_to * 100 >= total * 95 THEN bucket END) AS p95_ttft
  FROM running
)
SELECT
  sums.spend_usd,
  sums.requests + callers.requests AS requests,
  sums.calls,
  sums.input_tokens,
  sums.output_tokens,
  sums.cache_read_tokens,
  sums.errors,
  CAST(sums.errors AS DOUBLE PRECISION) / NULLIF(sums.calls, 0) AS error_rate,
  CAST(2 * POWER(1.02, chosen.p95_latency) / 2.02 AS DOUBLE PRECISION) AS p95_latency_ms,
  CAST(2 * POWER(1.02, chosen.p95_ttft) / 2.02 AS DOUBLE PRECISION) AS p95_ttft_ms,
  sums.unpriced_calls
FROM sums CROSS JOIN callers CROSS JOIN chosen
