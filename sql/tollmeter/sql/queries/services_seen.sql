-- name: services_seen
-- purpose: by service when its newest call began and landed, and how well its calls are known
-- param since timestamp = -7d: hours from then on
-- param until timestamp = now: hours that begin before then
-- column service varchar: service
-- column last_at timestamp: when its newest call began, UTC
-- column last_ingested_at timestamp: when the newest of its calls landed, UTC
-- column calls bigint: model calls
-- column unpriced_calls bigint: calls whose cost is unknown
-- column estimated_calls bigint: calls whose usage was estimated
-- column missing_usage_calls bigint: calls whose usage is not known
-- column inconsistent_calls bigint: calls whose usage contradicts itself
SELECT
  service,
  MAX(last_at) AS last_at,
  MAX(last_ingested_at) AS last_ingested_at,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(SUM(unpriced_calls) AS BIGINT) AS unpriced_calls,
  CAST(SUM(estimated_calls) AS BIGINT) AS estimated_calls,
  CAST(SUM(missing_usage_calls) AS BIGINT) AS missing_usage_calls,
  CAST(SUM(inconsistent_calls) AS BIGINT) AS inconsistent_calls
FROM rollup_calls_hourly
WHERE hour >= DATE_TRUNC('hour', CAST(:since AS TIMESTAMP))
  AND hour < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
GROUP BY service
ORDER BY calls DESC, service
