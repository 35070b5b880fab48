-- name: spend_over_time
-- purpose: what each model cost per bucket of time, oldest first
-- param since timestamp = -30d: calls from then on
-- param until timestamp = now: calls before then
-- param bucket minute|hour|day = day: width of a bucket
-- param model text = '': models, separated by commas; empty means all
-- column bucket timestamp: start of the bucket, UTC
-- column model varchar: model that answered, else the model asked for
-- column calls bigint: model calls
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
SELECT
  CASE CAST(:bucket AS VARCHAR)
    WHEN 'minute' THEN DATE_TRUNC('minute', created_at)
    WHEN 'hour' THEN DATE_TRUNC('hour', created_at)
    ELSE DATE_TRUNC('day', created_at)
  END AS bucket,
  model,
  COUNT(*) AS calls,
  SUM(cost_usd) AS cost_usd
FROM llm_requests
WHERE created_at >= CAST(:since AS TIMESTAMP)
  AND created_at < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
GROUP BY 1, 2
ORDER BY bucket, model
