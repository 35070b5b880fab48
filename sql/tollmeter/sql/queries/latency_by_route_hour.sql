-- name: latency_by_route_hour
-- purpose: p50, p95 and p99 of request duration by route and hour, newest hour first
-- param since timestamp = -1d: requests from then on
-- param until timestamp = now: requests before then
-- column hour timestamp: start of the hour, UTC
-- column route varchar: route template
-- column requests bigint: requests served
-- column p50_ms double: half were answered within this time
-- column p95_ms double: 95 of 100 were answered within this time
-- column p99_ms double: 99 of 100 were answered within this time
SELECT
  DATE_TRUNC('hour', "timestamp") AS hour,
  COALESCE(route, '') AS route,
  COUNT(*) AS requests,
  PERCENTILE_CONT(0.50) WITHIN GROUP (ORDER BY duration_ms) AS p50_ms,
  PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_ms,
  PERCENTILE_CONT(0.99) WITHIN GROUP (ORDER BY duration_ms) AS p99_ms
FROM requests
WHERE "timestamp" >= CAST(:since AS TIMESTAMP)
  AND "timestamp" < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
GROUP BY 1, 2
ORDER BY hour DESC, route
