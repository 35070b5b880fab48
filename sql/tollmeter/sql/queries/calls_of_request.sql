-- name: calls_of_request
-- purpose: the model calls of one request, in order
-- param request text: id of the request
-- param service text: service that served it
-- param since date = -7d: first day (UTC) it may be of
-- param until date = now: last day (UTC) it may be of
-- param limit int = 500: rows
-- column created_at timestamp: when the call began, UTC
-- column event_id varchar: id of the call
-- column event_date date: day of the call, UTC
-- column service varchar: service that made it
-- column request_id varchar: request it was made in
-- column span_id varchar: its span
-- column parent_span_id varchar: span it was made in
-- column tenant_id varchar: tenant
-- column user_id varchar: end user
-- column feature varchar: feature
-- column route varchar: route template of the request
-- column prompt_name varchar: name in the prompt registry
-- column prompt_version varchar: version in the prompt registry
-- column operation varchar: chat, embeddings, …
-- column model varchar: model that answered, else the model asked for
-- column status varchar: ok, error or partial
-- column error_type varchar: class or code of the error
-- column http_status bigint: HTTP status the provider answered
-- column attempt bigint: 1 for the first try
-- column fallback_from varchar: model it stands in for
-- column cache_hit boolean: answered from the service's own cache
-- column finish_reason varchar: why the model stopped
-- column input_tokens bigint: input tokens, cached ones included
-- column output_tokens bigint: output tokens, reasoning included
-- column cache_read_tokens bigint: part of the input read from the provider's cache
-- column content_digest varchar: digest of the recorded prompt; empty where none is recorded
-- column latency_ms double: time to the end of the answer
-- column ttft_ms double: time to the first token
-- column cost_usd decimal(18,12): cost; null where unknown
-- column cost_status varchar: priced, estimated, partial, unpriced or inconsistent
SELECT
  "timestamp" AS created_at,
  event_id,
  event_date,
  service,
  COALESCE(request_id, '') AS request_id,
  COALESCE(span_id, '') AS span_id,
  COALESCE(parent_span_id, '') AS parent_span_id,
  COALESCE(tenant_id, '') AS tenant_id,
  COALESCE(user_id, '') AS user_id,
  COALESCE(feature, '') AS feature,
  COALESCE(route, '') AS route,
  COALESCE(prompt_name, '') AS prompt_name,
  COALESCE(prompt_version, '') AS prompt_version,
  COALESCE(operation, '') AS operation,
  COALESCE(NULLIF(response_model, ''), NULLIF(request_model, ''), '(unknown)') AS model,
  COALESCE(status, '') AS status,
  COALESCE(error_type, '') AS error_type,
  http_status,
  attempt,
  COALESCE(fallback_from, '') AS fallback_from,
  cache_hit,
  COALESCE(finish_reason, '') AS finish_reason,
  input_tokens,
  output_tokens,
  cache_read_tokens,
  CASE WHEN COALESCE(input_content, '') = '' THEN '' ELSE MD5(input_content) END AS content_digest,
  latency_ms,
  ttft_ms,
  cost_usd,
  COALESCE(cost_status, '') AS cost_status
FROM llm_calls
WHERE request_id = CAST(:request AS VARCHAR)
  AND service = CAST(:service AS VARCHAR)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
ORDER BY "timestamp", event_id
LIMIT CAST(:limit AS BIGINT)
