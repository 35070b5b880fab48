-- name: spend_over_time
-- purpose: what each model cost per bucket of time, oldest first, from rollups
-- param since timestamp = -30d: calls from that minute on
-- param until timestamp = now: calls of minutes that begin before then
-- param bucket minute|hour|day = day: width of a bucket
-- param model text = '': models, separated by commas; empty means all
-- column bucket timestamp: start of the bucket, UTC
-- column model varchar: model that answered, else the model asked for
-- column calls bigint: model calls
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one

-- Whole hours from the hourly rollup, the minutes before and after them from the minutes' own.
WITH parts AS (
  SELECT hour AS moment, model, calls, cost_usd
  FROM rollup_calls_hourly
  WHERE CAST(:bucket AS VARCHAR) <> 'minute'
    AND hour >= DATE_TRUNC('hour', CAST(:since AS TIMESTAMP) + INTERVAL '59 minutes')
    AND hour < DATE_TRUNC('hour', CAST(:until AS TIMESTAMP))
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
  UNION ALL
  SELECT
    "minute",
    model,
    CASE WHEN metric = 'llm.calls' THEN "count" ELSE 0 END,
    CASE WHEN metric = 'llm.cost_usd' THEN "value" END
  FROM rollup_metrics_minute
  WHERE metric IN ('llm.calls', 'llm.cost_usd')
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
)
SELECT
  CASE CAST(:bucket AS VARCHAR)
    WHEN 'minute' THEN DATE_TRUNC('minute', moment)
    WHEN 'hour' THEN DATE_TRUNC('hour', moment)
    ELSE DATE_TRUNC('day', moment)
  END AS bucket,
  model,
  CAST(SUM(calls) AS BIGINT) AS calls,
  SUM(cost_usd) AS cost_usd
FROM parts
GROUP BY 1, 2
ORDER BY bucket, model
