-- name: runs_recent
-- purpose: the newest runs of the ETL and of each of the forwarder's sinks, newest first
-- param since timestamp = -7d: runs from then on
-- param until timestamp = now: runs before then
-- param each int = 20: runs of each component and sink
-- column started_at timestamp: when it began, UTC
-- column event_id varchar: id of the run
-- column component varchar: etl, forward, …
-- column sink varchar: the forwarder's sink; empty for what belongs to none
-- column outcome varchar: ok or error
-- column error_type varchar: class of the error
-- column duration_ms double: how long it took; of a sink since its last report
-- column lag_ms double: age of the oldest event not yet handled
-- column counts varchar: what it counted, JSON
WITH ranked AS (
  SELECT
    "timestamp" AS started_at,
    event_id,
    COALESCE(component, '') AS component,
    COALESCE(sink, '') AS sink,
    COALESCE(outcome, '') AS outcome,
    COALESCE(error_type, '') AS error_type,
    duration_ms,
    lag_ms,
    counts,
    ROW_NUMBER() OVER (
      PARTITION BY COALESCE(component, ''), COALESCE(sink, '') ORDER BY "timestamp" DESC, event_id
    ) AS place
  FROM runs
  WHERE "timestamp" >= CAST(:since AS TIMESTAMP)
    AND "timestamp" < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
)
SELECT started_at, event_id, component, sink, outcome, error_type, duration_ms, lag_ms, counts
FROM ranked
WHERE place <= CAST(:each AS BIGINT)
ORDER BY started_at DESC, event_id
