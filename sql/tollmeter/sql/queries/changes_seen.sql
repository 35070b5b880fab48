-- name: changes_seen
-- purpose: which version of a service called which model at which price row, and from when on: what changed in a span
-- param since timestamp: calls from then on
-- param until timestamp = now: calls before then
-- column service varchar: service
-- column environment varchar: environment; empty where calls have none
-- column version varchar: version of the service; empty where calls have none
-- column model varchar: model that answered, else the model asked for
-- column price_ref varchar: price row used; empty where there was none
-- column first_at timestamp: the first such call, UTC
-- column calls bigint: model calls

-- One pass over columns that hold few values each, as they are stored: what they read as is told of the few groups.
WITH stored AS (
  SELECT
    service, environment, version, response_model, request_model, price_ref,
    MIN("timestamp") AS first_at,
    COUNT(*) AS calls
  FROM llm_calls
  WHERE "timestamp" >= CAST(:since AS TIMESTAMP)
    AND "timestamp" < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  GROUP BY service, environment, version, response_model, request_model, price_ref
)
SELECT
  service,
  COALESCE(environment, '') AS environment,
  COALESCE(version, '') AS version,
  COALESCE(NULLIF(response_model, ''), NULLIF(request_model, ''), '(unknown)') AS model,
  COALESCE(price_ref, '') AS price_ref,
  MIN(first_at) AS first_at,
  CAST(SUM(calls) AS BIGINT) AS calls
FROM stored
GROUP BY 1, 2, 3, 4, 5
ORDER BY first_at, service, environment, version, model, price_ref
