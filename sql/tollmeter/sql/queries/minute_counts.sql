-- name: minute_counts
-- purpose: model calls and what went wrong with them per minute, oldest first; alarms are tried on these counts
-- param since timestamp = -7d: calls from then on
-- param until timestamp = now: calls before then
-- param service text = '': service; empty means all
-- param environment text = '': environment; empty means all
-- column minute timestamp: start of the minute, UTC
-- column calls bigint: model calls
-- column errors bigint: failed calls
-- column throttles bigint: calls answered with 429
-- column partial_calls bigint: streams that were abandoned
-- column unpriced_calls bigint: calls whose cost is unknown
SELECT
  DATE_TRUNC('minute', created_at) AS minute,
  COUNT(*) AS calls,
  CAST(SUM(CASE WHEN status = 'error' THEN 1 ELSE 0 END) AS BIGINT) AS errors,
  CAST(SUM(CASE WHEN http_status = 429 THEN 1 ELSE 0 END) AS BIGINT) AS throttles,
  CAST(SUM(CASE WHEN status = 'partial' THEN 1 ELSE 0 END) AS BIGINT) AS partial_calls,
  CAST(SUM(CASE WHEN cost_status = 'unpriced' THEN 1 ELSE 0 END) AS BIGINT) AS unpriced_calls
FROM llm_requests
WHERE created_at >= CAST(:since AS TIMESTAMP)
  AND created_at < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND (CAST(:service AS VARCHAR) = '' OR service = CAST(:service AS VARCHAR))
  AND (CAST(:environment AS VARCHAR) = '' OR environment = CAST(:environment AS VARCHAR))
GROUP BY 1
ORDER BY minute
