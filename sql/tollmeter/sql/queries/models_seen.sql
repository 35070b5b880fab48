-- name: models_seen
-- purpose: every model the lake has seen, in order of its first call, from the hourly rollup
-- column model varchar: model that answered, else the model asked for
-- column first_call timestamp: its first call, UTC
-- column last_call timestamp: its last call, UTC
-- column last_ingested timestamp: when its newest row landed, UTC
SELECT
  model,
  MIN(first_at) AS first_call,
  MAX(last_at) AS last_call,
  MAX(last_ingested_at) AS last_ingested
FROM rollup_calls_hourly
GROUP BY 1
ORDER BY first_call, model
