-- name: overview
-- purpose: the headline numbers of a period in one row; with a model filter, requests are those that called it
-- param since timestamp = -30d: calls from then on
-- param until timestamp = now: calls before then
-- param model text = '': models, separated by commas; empty means all
-- column spend_usd decimal(38,12): sum over calls with a known cost; null where none has one
-- column requests bigint: requests served
-- column calls bigint: model calls
-- column input_tokens bigint: input tokens, cached ones included
-- column output_tokens bigint: output tokens, reasoning included
-- column cache_read_tokens bigint: part of input_tokens read from the provider's cache
-- column errors bigint: failed calls
-- column error_rate double: failed calls over calls, 0 to 1; null without calls
-- column p95_latency_ms double: 95 of 100 calls ended within this time
-- column p95_ttft_ms double: 95 of 100 streams showed their first token within this time
-- column unpriced_calls bigint: calls whose cost is unknown

-- Redshift wants one ordering for all WITHIN GROUP of a SELECT, so each percentile has its own.
WITH calls AS (
  SELECT request_id, status, input_tokens, output_tokens, cache_read_tokens, latency_ms, ttft_ms, cost_usd
  FROM llm_requests
  WHERE created_at >= CAST(:since AS TIMESTAMP)
    AND created_at < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
),
served AS (
  SELECT COUNT(*) AS requests
  FROM requests
  WHERE "timestamp" >= CAST(:since AS TIMESTAMP)
    AND "timestamp" < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND (CAST(:model AS VARCHAR) = '' OR request_id IN (SELECT request_id FROM calls WHERE request_id <> ''))
),
latency AS (
  SELECT PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_latency_ms FROM calls
),
first_token AS (
  SELECT PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY ttft_ms) AS p95_ttft_ms FROM calls
),
sums AS (
  SELECT
    SUM(cost_usd) AS spend_usd,
    COUNT(*) AS calls,
    CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT) AS input_tokens,
    CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT) AS output_tokens,
    CAST(COALESCE(SUM(cache_read_tokens), 0) AS BIGINT) AS cache_read_tokens,
    CAST(COALESCE(SUM(CASE WHEN status = 'error' THEN 1 ELSE 0 END), 0) AS BIGINT) AS errors,
    CAST(COALESCE(SUM(CASE WHEN cost_usd IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS unpriced_calls
  FROM calls
)
SELECT
  sums.spend_usd,
  served.requests,
  sums.calls,
  sums.input_tokens,
  sums.output_tokens,
  sums.cache_read_tokens,
  sums.errors,
  CAST(sums.errors AS DOUBLE PRECISION) / NULLIF(sums.calls, 0) AS error_rate,
  latency.p95_latency_ms,
  first_token.p95_ttft_ms,
  sums.unpriced_calls
FROM sums CROSS JOIN served CROSS JOIN latency CROSS JOIN first_token
