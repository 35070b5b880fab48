-- name: losses
-- purpose: what services said they lost, newest first; the counts are since the event before on the same instance
-- param since timestamp = -7d: events from then on
-- param until timestamp = now: events before then
-- param limit int = 100: rows
-- column recorded_at timestamp: when the event that carries the counts began, UTC
-- column service varchar: the service
-- column instance varchar: the process
-- column losses varchar: JSON object of reason to count
WITH carried AS (
  SELECT "timestamp" AS recorded_at, event_date, service, instance, losses FROM requests WHERE losses IS NOT NULL
  UNION ALL
  SELECT "timestamp" AS recorded_at, event_date, service, instance, losses FROM llm_calls WHERE losses IS NOT NULL
  UNION ALL
  SELECT "timestamp" AS recorded_at, event_date, service, instance, losses FROM evaluations WHERE losses IS NOT NULL
)
SELECT recorded_at, service, COALESCE(instance, '') AS instance, losses
FROM carried
WHERE recorded_at >= CAST(:since AS TIMESTAMP)
  AND recorded_at < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
ORDER BY recorded_at DESC
LIMIT CAST(:limit AS BIGINT)
