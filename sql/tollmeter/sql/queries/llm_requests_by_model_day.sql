-- name: llm_requests_by_model_day
-- purpose: requests, tokens and average latency per model and day, newest day first
-- param since timestamp = -30d: calls from then on
-- param until timestamp = now: calls before then
-- column model varchar: model that answered, else the model asked for
-- column day date: day of created_at, UTC
-- column requests bigint: model calls
-- column tokens bigint: input and output tokens
-- column avg_latency_ms double: mean time to the end of the answer
SELECT
  model,
  CAST(DATE_TRUNC('day', created_at) AS DATE) AS day,
  COUNT(*) AS requests,
  CAST(SUM(tokens) AS BIGINT) AS tokens,
  AVG(latency_ms) AS avg_latency_ms
FROM llm_requests
WHERE created_at >= CAST(:since AS TIMESTAMP)
  AND created_at < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
GROUP BY 1, 2
ORDER BY day DESC, requests DESC, model
