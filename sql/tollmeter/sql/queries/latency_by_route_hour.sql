-- name: latency_by_route_hour
-- purpose: p50, p95 and p99 of request duration by route and hour, to 1 %, from the hourly rollup, newest hour first
-- param since timestamp = -1d: hours that begin from then on
-- param until timestamp = now: hours that begin before then
-- column hour timestamp: start of the hour, UTC
-- column route varchar: route template
-- column requests bigint: requests served
-- column p50_ms double: half were answered within this time
-- column p95_ms double: 95 of 100 were answered within this time
-- column p99_ms double: 99 of 100 were answered within this time
WITH buckets AS (
  SELECT hour, route, bucket, SUM("count") AS n
  FROM rollup_latency_hourly
  WHERE metric = 'http.duration_ms'
    AND hour >= CAST(:since AS TIMESTAMP)
    AND hour < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  GROUP BY hour, route, bucket
),
running AS (
  SELECT
    hour,
    route,
    bucket,
    n,
    SUM(n) OVER (PARTITION BY hour, route ORDER BY bucket ROWS UNBOUNDED PRECEDING) AS up_to,
    SUM(n) OVER (PARTITION BY hour, route) AS total
  FROM buckets
)
SELECT
  hour,
  route,
  CAST(SUM(n) AS BIGINT) AS requests,
  CAST(2 * POWER(1.02, MIN(CASE WHEN up_to * 100 >= total * 50 THEN bucket END)) / 2.02 AS DOUBLE PRECISION)
    AS p50_ms,
  CAST(2 * POWER(1.02, MIN(CASE WHEN up_to * 100 >= total * 95 THEN bucket END)) / 2.02 AS DOUBLE PRECISION)
    AS p95_ms,
  CAST(2 * POWER(1.02, MIN(CASE WHEN up_to * 100 >= total * 99 THEN bucket END)) / 2.02 AS DOUBLE PRECISION)
    AS p99_ms
FROM running
GROUP BY hour, route
ORDER BY hour DESC, route
