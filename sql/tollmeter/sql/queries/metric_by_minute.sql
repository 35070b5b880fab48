-- name: metric_by_minute
-- purpose: one metric of the registry per minute, as it was known at a time; a distribution by bucket
-- param metric text = llm.calls: name in the metric registry
-- param since timestamp = -1d: minutes that begin from then on
-- param until timestamp = now: minutes that begin before then
-- param known_at timestamp = 2200-01-01: leave out what arrived in the lake later
-- param service text = '': service; empty means all
-- param environment text = '': environment; empty means all
-- column minute timestamp: start of the minute, UTC
-- column arrived_at timestamp: full minute from which on these events were in the lake, UTC
-- column log_bucket bigint: log bucket of a distribution, see docs/rollups.md; null otherwise
-- column events bigint: events that contributed; of a distribution values in the bucket
-- column total decimal(38,12): sum of a counter; null otherwise
-- column largest decimal(38,12): largest value of a gauge or of one event's group; null of a distribution
SELECT
  "minute",
  arrived_at,
  bucket AS log_bucket,
  CAST(SUM("count") AS BIGINT) AS events,
  SUM("value") AS total,
  MAX("value") AS largest
FROM rollup_metrics_minute
WHERE metric = CAST(:metric AS VARCHAR)
  AND "minute" >= CAST(:since AS TIMESTAMP)
  AND "minute" < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND arrived_at <= CAST(:known_at AS TIMESTAMP)
  AND (CAST(:service AS VARCHAR) = '' OR service = CAST(:service AS VARCHAR))
  AND (CAST(:environment AS VARCHAR) = '' OR environment = CAST(:environment AS VARCHAR))
GROUP BY "minute", arrived_at, bucket
ORDER BY "minute", arrived_at, log_bucket
