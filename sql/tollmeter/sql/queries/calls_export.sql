-- name: calls_export
-- purpose: the model calls that filters leave, oldest first, some at a time: each answer goes on after the last row of the one before
-- param since timestamp = -1d: calls from then on
-- param until timestamp = now: calls before then
-- param model text = '': models that answered, else asked for, each between two U+001F; empty means all
-- param request_model text = '': models asked for, likewise
-- param provider text = '': providers, likewise
-- param service text = '': services, likewise
-- param environment text = '': environments, likewise
-- param version text = '': versions of the service, likewise
-- param region text = '': regions of the service, likewise
-- param route text = '': route templates, likewise
-- param tenant text = '': tenants, likewise
-- param team text = '': teams, likewise
-- param feature text = '': features, likewise
-- param user text = '': end users, likewise
-- param session text = '': sessions, likewise
-- param prompt text = '': prompts, likewise
-- param prompt_version text = '': versions of prompts, likewise
-- param experiment text = '': experiments, likewise
-- param variant text = '': variants, likewise
-- param status text = '': ok, error, partial, likewise
-- param error_type text = '': classes or codes of errors, likewise
-- param stream text = '': true or false, likewise
-- param search text = '': an id of event, request, trace or provider, or a part of session, user, error or model
-- param min_cost text = '': USD that a call cost at least, such as 0.05; empty means any
-- param min_latency text = '': ms that a call took at least; empty means any
-- param after_time timestamp = 1970-01-01: moment of the last row that was read
-- param after_id text = '': its event_id
-- param limit int = 20000: rows
-- column created_at timestamp: when the call began, UTC
-- column event_id varchar: id of the call
-- column request_id varchar: request it was made in
-- column trace_id varchar: trace
-- column service varchar: service
-- column environment varchar: environment
-- column version varchar: version of the service
-- column region varchar: region of the service
-- column tenant_id varchar: tenant
-- column team varchar: team
-- column feature varchar: feature
-- column user_id varchar: end user
-- column session_id varchar: conversation or agent run
-- column route varchar: route template
-- column prompt_name varchar: prompt
-- column prompt_version varchar: version of the prompt
-- column experiment varchar: experiment
-- column variant varchar: variant
-- column provider varchar: provider
-- column operation varchar: chat, embedding, …
-- column request_model varchar: model asked for
-- column response_model varchar: model that answered
-- column status varchar: ok, error or partial
-- column error_type varchar: class or code of the error
-- column finish_reason varchar: why the model stopped
-- column stream boolean: whether the answer was streamed
-- column http_status bigint: HTTP status the provider answered
-- column attempt bigint: 1 for the first try
-- column input_tokens bigint: input tokens, cached ones included
-- column output_tokens bigint: output tokens, reasoning included
-- column cache_read_tokens bigint: part of the input read from the provider's cache
-- column cache_write_tokens bigint: part of the input written to it
-- column reasoning_tokens bigint: part of the output spent on reasoning
-- column latency_ms double: time to the end of the answer
-- column ttft_ms double: time to the first token
-- column cost_usd decimal(18,12): cost; null where unknown
-- column cache_savings_usd decimal(18,12): what caches saved
-- column cost_status varchar: priced, estimated, partial, unpriced or inconsistent
-- column price_ref varchar: price row that was used
-- column usage_source varchar: reported, estimated or missing
SELECT
  "timestamp" AS created_at,
  event_id,
  request_id,
  trace_id,
  service,
  environment,
  version,
  region,
  tenant_id,
  team,
  feature,
  user_id,
  session_id,
  route,
  prompt_name,
  prompt_version,
  experiment,
  variant,
  provider,
  operation,
  request_model,
  response_model,
  status,
  error_type,
  finish_reason,
  stream,
  http_status,
  attempt,
  input_tokens,
  output_tokens,
  cache_read_tokens,
  cache_write_tokens,
  reasoning_tokens,
  latency_ms,
  ttft_ms,
  cost_usd,
  cache_savings_usd,
  cost_status,
  price_ref,
  usage_source
FROM llm_calls
WHERE "timestamp" >= CAST(:since AS TIMESTAMP)
  AND "timestamp" < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND (
    CAST(:model AS VARCHAR) = ''
    OR STRPOS(
      CAST(:model AS VARCHAR),
      CHR(31) || COALESCE(NULLIF(response_model, ''), NULLIF(request_model, ''), '(unknown)') || CHR(31)
    ) > 0
  )
  AND (
    CAST(:request_model AS VARCHAR) = ''
    OR STRPOS(CAST(:request_model AS VARCHAR), CHR(31) || COALESCE(request_model, '') || CHR(31)) > 0
  )
  AND (
    CAST(:provider AS VARCHAR) = ''
    OR STRPOS(CAST(:provider AS VARCHAR), CHR(31) || COALESCE(provider, '') || CHR(31)) > 0
  )
  AND (CAST(:service AS VARCHAR) = '' OR STRPOS(CAST(:service AS VARCHAR), CHR(31) || service || CHR(31)) > 0)
  AND (
    CAST(:environment AS VARCHAR) = ''
    OR STRPOS(CAST(:environment AS VARCHAR), CHR(31) || COALESCE(environment, '') || CHR(31)) > 0
  )
  AND (
    CAST(:version AS VARCHAR) = ''
    OR STRPOS(CAST(:version AS VARCHAR), CHR(31) || COALESCE(version, '') || CHR(31)) > 0
  )
  AND (
    CAST(:region AS VARCHAR) = ''
    OR STRPOS(CAST(:region AS VARCHAR), CHR(31) || COALESCE(region, '') || CHR(31)) > 0
  )
  AND (
    CAST(:route AS VARCHAR) = ''
    OR STRPOS(CAST(:route AS VARCHAR), CHR(31) || COALESCE(route, '') || CHR(31)) > 0
  )
  AND (
    CAST(:tenant AS VARCHAR) = ''
    OR STRPOS(CAST(:tenant AS VARCHAR), CHR(31) || COALESCE(tenant_id, '') || CHR(31)) > 0
  )
  AND (CAST(:team AS VARCHAR) = '' OR STRPOS(CAST(:team AS VARCHAR), CHR(31) || COALESCE(team, '') || CHR(31)) > 0)
  AND (
    CAST(:feature AS VARCHAR) = ''
    OR STRPOS(CAST(:feature AS VARCHAR), CHR(31) || COALESCE(feature, '') || CHR(31)) > 0
  )
  AND (
    CAST(:user AS VARCHAR) = ''
    OR STRPOS(CAST(:user AS VARCHAR), CHR(31) || COALESCE(user_id, '') || CHR(31)) > 0
  )
  AND (
    CAST(:session AS VARCHAR) = ''
    OR STRPOS(CAST(:session AS VARCHAR), CHR(31) || COALESCE(session_id, '') || CHR(31)) > 0
  )
  AND (
    CAST(:prompt AS VARCHAR) = ''
    OR STRPOS(CAST(:prompt AS VARCHAR), CHR(31) || COALESCE(prompt_name, '') || CHR(31)) > 0
  )
  AND (
    CAST(:prompt_version AS VARCHAR) = ''
    OR STRPOS(CAST(:prompt_version AS VARCHAR), CHR(31) || COALESCE(prompt_version, '') || CHR(31)) > 0
  )
  AND (
    CAST(:experiment AS VARCHAR) = ''
    OR STRPOS(CAST(:experiment AS VARCHAR), CHR(31) || COALESCE(experiment, '') || CHR(31)) > 0
  )
  AND (
    CAST(:variant AS VARCHAR) = ''
    OR STRPOS(CAST(:variant AS VARCHAR), CHR(31) || COALESCE(variant, '') || CHR(31)) > 0
  )
  AND (
    CAST(:status AS VARCHAR) = ''
    OR STRPOS(CAST(:status AS VARCHAR), CHR(31) || COALESCE(status, '') || CHR(31)) > 0
  )
  AND (
    CAST(:error_type AS VARCHAR) = ''
    OR STRPOS(CAST(:error_type AS VARCHAR), CHR(31) || COALESCE(error_type, '') || CHR(31)) > 0
  )
  AND (
    CAST(:stream AS VARCHAR) = ''
    OR STRPOS(CAST(:stream AS VARCHAR), CHR(31) || CASE WHEN stream THEN 'true' ELSE 'false' END || CHR(31)) > 0
  )
  AND (
    "timestamp" > CAST(:after_time AS TIMESTAMP)
    OR ("timestamp" = CAST(:after_time AS TIMESTAMP) AND event_id > CAST(:after_id AS VARCHAR))
  )
  AND (
    CAST(:search AS VARCHAR) = ''
    OR event_id = CAST(:search AS VARCHAR)
    OR request_id = CAST(:search AS VARCHAR)
    OR trace_id = CAST(:search AS VARCHAR)
    OR provider_request_id = CAST(:search AS VARCHAR)
    OR STRPOS(LOWER(session_id), LOWER(CAST(:search AS VARCHAR))) > 0
    OR STRPOS(LOWER(user_id), LOWER(CAST(:search AS VARCHAR))) > 0
    OR STRPOS(LOWER(error_type), LOWER(CAST(:search AS VARCHAR))) > 0
    OR STRPOS(LOWER(response_model), LOWER(CAST(:search AS VARCHAR))) > 0
    OR STRPOS(LOWER(request_model), LOWER(CAST(:search AS VARCHAR))) > 0
  )
  AND (CAST(:min_cost AS VARCHAR) = '' OR cost_usd >= CAST(NULLIF(CAST(:min_cost AS VARCHAR), '') AS DECIMAL(18, 12)))
  AND (
    CAST(:min_latency AS VARCHAR) = ''
    OR latency_ms >= CAST(NULLIF(CAST(:min_latency AS VARCHAR), '') AS DOUBLE PRECISION)
  )
ORDER BY "timestamp", event_id
LIMIT CAST(:limit AS BIGINT)
