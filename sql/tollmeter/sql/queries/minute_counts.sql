-- name: minute_counts
-- purpose: model calls and what went wrong with them per minute and arrival, oldest first; alarms are tried on these counts
-- param since timestamp = -7d: minutes that begin from then on
-- param until timestamp = now: minutes that begin before then
-- param service text = '': service; empty means all
-- param environment text = '': environment; empty means all
-- column minute timestamp: start of the minute, UTC
-- column arrived_at timestamp: full minute from which on these calls were in the lake, UTC; late ones have a row of their own
-- column calls bigint: model calls
-- column errors bigint: failed calls
-- column throttles bigint: calls answered with 429
-- column partial_calls bigint: streams that were abandoned
-- column unpriced_calls bigint: calls whose cost is unknown
SELECT
  "minute",
  arrived_at,
  CAST(SUM(CASE WHEN metric = 'llm.calls' THEN "count" ELSE 0 END) AS BIGINT) AS calls,
  CAST(SUM(CASE WHEN metric = 'llm.errors' THEN "count" ELSE 0 END) AS BIGINT) AS errors,
  CAST(SUM(CASE WHEN metric = 'llm.throttles' THEN "count" ELSE 0 END) AS BIGINT) AS throttles,
  CAST(SUM(CASE WHEN metric = 'llm.partial' THEN "count" ELSE 0 END) AS BIGINT) AS partial_calls,
  CAST(SUM(CASE WHEN metric = 'llm.unpriced_calls' THEN "count" ELSE 0 END) AS BIGINT) AS unpriced_calls
FROM rollup_metrics_minute
WHERE metric IN ('llm.calls', 'llm.errors', 'llm.throttles', 'llm.partial', 'llm.unpriced_calls')
  AND "minute" >= CAST(:since AS TIMESTAMP)
  AND "minute" < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND (CAST(:service AS VARCHAR) = '' OR service = CAST(:service AS VARCHAR))
  AND (CAST(:environment AS VARCHAR) = '' OR environment = CAST(:environment AS VARCHAR))
GROUP BY "minute", arrived_at
ORDER BY "minute", arrived_at
