-- name: cost_by_day_model
-- purpose: cost, calls and tokens by day and model, newest day first; unpriced calls are counted, not taken as free
-- param since timestamp = -30d: calls from that minute on
-- param until timestamp = now: calls of minutes that begin before then
-- param model text = '': models, separated by commas; empty means all
-- column day date: day of the call, UTC
-- column model varchar: model that answered, else the model asked for
-- column calls bigint: model calls
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
-- column input_tokens bigint: input tokens, cached ones included
-- column output_tokens bigint: output tokens, reasoning included
-- column cached_tokens bigint: part of input_tokens read from the provider's cache
-- column unpriced_calls bigint: calls whose cost is unknown

-- Whole hours from the hourly rollup, the minutes before and after them from the minutes' own.
WITH parts AS (
  SELECT event_date AS day, model, calls, cost_usd, input_tokens, output_tokens, cache_read_tokens, unpriced_calls
  FROM rollup_calls_hourly
  WHERE hour >= DATE_TRUNC('hour', CAST(:since AS TIMESTAMP) + INTERVAL '59 minutes')
    AND hour < DATE_TRUNC('hour', CAST(:until AS TIMESTAMP))
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
  UNION ALL
  SELECT
    event_date,
    model,
    CASE WHEN metric = 'llm.calls' THEN "count" ELSE 0 END,
    CASE WHEN metric = 'llm.cost_usd' THEN "value" END,
    CASE WHEN metric = 'llm.input_tokens' THEN "value" ELSE 0 END,
    CASE WHEN metric = 'llm.output_tokens' THEN "value" ELSE 0 END,
    CASE WHEN metric = 'llm.cache_read_tokens' THEN "value" ELSE 0 END,
    CASE WHEN metric = 'llm.calls' THEN "count" WHEN metric = 'llm.cost_usd' THEN -"count" ELSE 0 END
  FROM rollup_metrics_minute
  WHERE metric IN ('llm.calls', 'llm.cost_usd', 'llm.input_tokens', 'llm.output_tokens', 'llm.cache_read_tokens')
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
)
SELECT
  day,
  model,
  CAST(SUM(calls) AS BIGINT) AS calls,
  SUM(cost_usd) AS cost_usd,
  CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
  CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
  CAST(SUM(cache_read_tokens) AS BIGINT) AS cached_tokens,
  CAST(SUM(unpriced_calls) AS BIGINT) AS unpriced_calls
FROM parts
GROUP BY 1, 2
ORDER BY day DESC, model
