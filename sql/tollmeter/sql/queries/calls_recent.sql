-- name: calls_recent
-- purpose: the newest model calls
-- param since timestamp = -1d: calls from then on
-- param until timestamp = now: calls before then
-- param model text = '': models, separated by commas; empty means all
-- param limit int = 100: rows
-- column created_at timestamp: when the call began, UTC
-- column event_id varchar: id of the call
-- column model varchar: model that answered, else the model asked for
-- column route varchar: route template of the request
-- column tenant_id varchar: tenant
-- column status varchar: ok, error or partial
-- column error_type varchar: class or code of the error
-- column input_tokens bigint: input tokens, cached ones included
-- column output_tokens bigint: output tokens, reasoning included
-- column latency_ms double: time to the end of the answer
-- column ttft_ms double: time to the first token
-- column cost_usd decimal(18,12): cost; null where unknown
-- column cost_status varchar: priced, estimated, partial, unpriced or inconsistent
SELECT
  created_at,
  event_id,
  model,
  route,
  tenant_id,
  status,
  error_type,
  input_tokens,
  output_tokens,
  latency_ms,
  ttft_ms,
  cost_usd,
  cost_status
FROM llm_requests
WHERE created_at >= CAST(:since AS TIMESTAMP)
  AND created_at < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
ORDER BY created_at DESC, event_id DESC
LIMIT CAST(:limit AS BIGINT)
