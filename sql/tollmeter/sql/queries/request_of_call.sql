-- name: request_of_call
-- purpose: the request that model calls were made in, with its steps
-- param request text: id of the request
-- param service text: service that served it
-- param since date = -7d: first day (UTC) it may be of
-- param until date = now: last day (UTC) it may be of
-- column event_id varchar: UUIDv7 of the event; UUIDv5 of source and source id where imported
-- column schema_version bigint: version of this schema that the writer spoke
-- column timestamp timestamp: when the request, call or run began
-- column event_date date: day of timestamp; the partition
-- column service varchar: name of the service that wrote the event
-- column environment varchar: deployment environment, such as production
-- column version varchar: version of the service
-- column region varchar: cloud region the service runs in
-- column account_id varchar: cloud account the service runs in
-- column instance varchar: one process of the service
-- column losses varchar: events this process lost since its last event, by reason
-- column request_id varchar: X-Request-ID, taken or made
-- column trace_id varchar: W3C trace id, 32 hex digits
-- column span_id varchar: W3C span id, 16 hex digits
-- column parent_span_id varchar: span id of the parent
-- column user_id varchar: end user
-- column tenant_id varchar: customer of a multi-tenant service
-- column team varchar: team that pays
-- column feature varchar: product feature
-- column session_id varchar: conversation or agent run
-- column prompt_name varchar: name in the prompt registry
-- column prompt_version varchar: version in the prompt registry
-- column experiment varchar: experiment name
-- column variant varchar: variant of the experiment
-- column tags varchar: free tags, text to text
-- column route varchar: route template of the request, such as /chat/{id}
-- column method varchar: HTTP method, or WEBSOCKET, LAMBDA, QUEUE, JOB
-- column status_code bigint: HTTP status sent to the client
-- column duration_ms double: from the first byte of the request to the last of the response
-- column ttfb_ms double: until the first byte of the body
-- column response_bytes bigint: body bytes sent
-- column client_disconnected boolean: the client left before the response was complete
-- column steps varchar: named spans inside the request
-- column steps_dropped bigint: steps over the cap
-- column llm_calls bigint: model calls of the request; provisional, reports sum llm_calls
-- column error_type varchar: class or code of the error; empty when there was none
-- column input_tokens bigint: all input, cache and audio and image included
-- column output_tokens bigint: all output, reasoning included
-- column cost_usd decimal(18,12): cost of the call; null where unknown, never 0 for unknown
-- column extra varchar: fields of the line that this version does not know
-- column ingested_at timestamp: when the row was landed
-- column batch_id varchar: the ETL batch that landed the row
SELECT
  event_id,
  schema_version,
  "timestamp",
  event_date,
  service,
  environment,
  version,
  region,
  account_id,
  instance,
  losses,
  request_id,
  trace_id,
  span_id,
  parent_span_id,
  user_id,
  tenant_id,
  team,
  feature,
  session_id,
  prompt_name,
  prompt_version,
  experiment,
  variant,
  tags,
  route,
  method,
  status_code,
  duration_ms,
  ttfb_ms,
  response_bytes,
  client_disconnected,
  steps,
  steps_dropped,
  llm_calls,
  error_type,
  input_tokens,
  output_tokens,
  cost_usd,
  extra,
  ingested_at,
  batch_id
FROM requests
WHERE request_id = CAST(:request AS VARCHAR)
  AND service = CAST(:service AS VARCHAR)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
ORDER BY "timestamp"
LIMIT 20
