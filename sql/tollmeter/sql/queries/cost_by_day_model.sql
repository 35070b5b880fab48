-- name: cost_by_day_model
-- purpose: cost, calls and tokens by day and model, newest day first; unpriced calls are counted, not taken as free
-- param since timestamp = -30d: calls from then on
-- param until timestamp = now: calls before then
-- param model text = '': models, separated by commas; empty means all
-- column day date: day of the call, UTC
-- column model varchar: model that answered, else the model asked for
-- column calls bigint: model calls
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
-- column input_tokens bigint: input tokens, cached ones included
-- column output_tokens bigint: output tokens, reasoning included
-- column cached_tokens bigint: part of input_tokens read from the provider's cache
-- column unpriced_calls bigint: calls whose cost is unknown
SELECT
  CAST(DATE_TRUNC('day', created_at) AS DATE) AS day,
  model,
  COUNT(*) AS calls,
  SUM(cost_usd) AS cost_usd,
  CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
  CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
  CAST(SUM(cache_read_tokens) AS BIGINT) AS cached_tokens,
  CAST(SUM(CASE WHEN cost_usd IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS unpriced_calls
FROM llm_requests
WHERE created_at >= CAST(:since AS TIMESTAMP)
  AND created_at < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
GROUP BY 1, 2
ORDER BY day DESC, model
