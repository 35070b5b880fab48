-- name: experiments_seen
-- purpose: the experiments that calls were part of, most calls first
-- param since timestamp = -30d: calls from then on
-- param until timestamp = now: calls before then
-- param limit int = 200: rows
-- column subject varchar: its name
-- column variants bigint: variants
-- column calls bigint: model calls
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
SELECT
  experiment AS subject,
  COUNT(DISTINCT variant) AS variants,
  COUNT(*) AS calls,
  CAST(SUM(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM llm_calls
WHERE "timestamp" >= CAST(:since AS TIMESTAMP)
  AND "timestamp" < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND experiment <> ''
GROUP BY 1
ORDER BY calls DESC, subject
LIMIT CAST(:limit AS BIGINT)
