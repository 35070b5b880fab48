-- name: data_health
-- purpose: quarantined lines by reason, most frequent first
-- param since timestamp = -30d: lines ingested from then on
-- param until timestamp = now: lines ingested before then
-- column reason varchar: class of the fault
-- column lines bigint: lines in quarantine
-- column objects bigint: raw objects they stand in
-- column last_seen timestamp: newest of them, UTC
SELECT
  reason,
  COUNT(*) AS lines,
  COUNT(DISTINCT object_key) AS objects,
  MAX(ingested_at) AS last_seen
FROM quarantine
WHERE ingested_at >= CAST(:since AS TIMESTAMP)
  AND ingested_at < CAST(:until AS TIMESTAMP)
GROUP BY 1
ORDER BY lines DESC, reason
