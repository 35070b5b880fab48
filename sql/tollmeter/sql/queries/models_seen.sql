-- name: models_seen
-- purpose: every model the lake has seen, in order of its first call
-- column model varchar: model that answered, else the model asked for
-- column first_call timestamp: its first call, UTC
-- column last_call timestamp: its last call, UTC
-- column last_ingested timestamp: when its newest row landed, UTC
SELECT
  COALESCE(NULLIF(response_model, ''), NULLIF(request_model, ''), '(unknown)') AS model,
  MIN("timestamp") AS first_call,
  MAX("timestamp") AS last_call,
  MAX(ingested_at) AS last_ingested
FROM llm_calls
GROUP BY 1
ORDER BY first_call, model
