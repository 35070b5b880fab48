-- name: pipeline_totals
-- purpose: what the runs of ETL and forwarder counted, by metric, component and sink
-- param since timestamp = -7d: minutes from then on
-- param until timestamp = now: minutes before then
-- column metric varchar: name in the metric registry
-- column component varchar: etl, forward, …
-- column sink varchar: the forwarder's sink; empty for what belongs to none
-- column runs bigint: runs that contributed
-- column total decimal(38,12): of a counter the sum
-- column largest decimal(38,12): the largest of a minute; of a gauge the largest seen
-- column last_minute timestamp: newest minute it was told in, UTC
SELECT
  metric,
  COALESCE(component, '') AS component,
  COALESCE(sink, '') AS sink,
  CAST(SUM("count") AS BIGINT) AS runs,
  CAST(SUM("value") AS DECIMAL(38, 12)) AS total,
  CAST(MAX("value") AS DECIMAL(38, 12)) AS largest,
  MAX("minute") AS last_minute
FROM rollup_metrics_minute
WHERE metric >= 'tollmeter.'
  AND metric < 'tollmeter/'
  AND "minute" >= CAST(:since AS TIMESTAMP)
  AND "minute" < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
