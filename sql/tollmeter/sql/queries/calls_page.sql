-- name: calls_page
-- purpose: one page of the model calls that a filter and a search leave, in the order asked for; unknown values come last
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
-- param sort time|cost|latency|ttft|input|output = time: what is sorted by
-- param direction desc|asc = desc: newest or largest first, or last
-- param offset int = 0: rows of earlier pages
-- param limit int = 100: rows
-- column created_at timestamp: when the call began, UTC
-- column event_id varchar: id of the call
-- column event_date date: day of the call, UTC; with the id it finds the call again
-- column request_id varchar: request it was made in
-- column trace_id varchar: trace
-- column session_id varchar: conversation or agent run
-- column user_id varchar: end user
-- column tenant_id varchar: tenant
-- column team varchar: team
-- column feature varchar: feature
-- column service varchar: service
-- column route varchar: route template of the request
-- column provider varchar: provider
-- column model varchar: model that answered, else the model asked for
-- column status varchar: ok, error or partial
-- column error_type varchar: class or code of the error
-- column http_status bigint: HTTP status the provider answered
-- column attempt bigint: 1 for the first try
-- column input_tokens bigint: input tokens, cached ones included; null where unknown
-- column output_tokens bigint: output tokens, reasoning included
-- column cache_read_tokens bigint: part of the input read from the provider's cache
-- column latency_ms double: time to the end of the answer
-- column ttft_ms double: time to the first token
-- column cost_usd decimal(18,12): cost; null where unknown
-- column cost_status varchar: priced, estimated, partial, unpriced or inconsistent

-- The page's ids first, from the few columns that decide them; what the page shows is then read for those alone.
WITH matching AS (
  SELECT
    event_id,
    event_date,
    "timestamp" AS created_at,
    CASE CAST(:sort AS VARCHAR)
      WHEN 'cost' THEN CAST(cost_usd AS DOUBLE PRECISION)
      WHEN 'latency' THEN latency_ms
      WHEN 'ttft' THEN ttft_ms
      WHEN 'input' THEN CAST(input_tokens AS DOUBLE PRECISION)
      WHEN 'output' THEN CAST(output_tokens AS DOUBLE PRECISION)
    END AS sort_key
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
),
chosen AS (
  SELECT event_id, event_date, created_at, sort_key
  FROM matching
  ORDER BY
    CASE WHEN CAST(:direction AS VARCHAR) = 'desc' THEN sort_key END DESC NULLS LAST,
    CASE WHEN CAST(:direction AS VARCHAR) = 'asc' THEN sort_key END NULLS LAST,
    CASE WHEN CAST(:direction AS VARCHAR) = 'asc' THEN created_at END,
    created_at DESC,
    event_id
  LIMIT CAST(:limit AS BIGINT)
  OFFSET CAST(:offset AS BIGINT)
)
SELECT
  c."timestamp" AS created_at,
  c.event_id,
  c.event_date,
  COALESCE(c.request_id, '') AS request_id,
  COALESCE(c.trace_id, '') AS trace_id,
  COALESCE(c.session_id, '') AS session_id,
  COALESCE(c.user_id, '') AS user_id,
  COALESCE(c.tenant_id, '') AS tenant_id,
  COALESCE(c.team, '') AS team,
  COALESCE(c.feature, '') AS feature,
  c.service,
  COALESCE(c.route, '') AS route,
  COALESCE(c.provider, '') AS provider,
  COALESCE(NULLIF(c.response_model, ''), NULLIF(c.request_model, ''), '(unknown)') AS model,
  COALESCE(c.status, '') AS status,
  COALESCE(c.error_type, '') AS error_type,
  c.http_status,
  c.attempt,
  c.input_tokens,
  c.output_tokens,
  c.cache_read_tokens,
  c.latency_ms,
  c.ttft_ms,
  c.cost_usd,
  COALESCE(c.cost_status, '') AS cost_status
FROM llm_calls AS c
JOIN chosen ON c.event_id = chosen.event_id AND c.event_date = chosen.event_date
WHERE c.event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND c."timestamp" >= CAST(:since AS TIMESTAMP)
  AND c."timestamp" < CAST(:until AS TIMESTAMP)
ORDER BY
  CASE WHEN CAST(:direction AS VARCHAR) = 'desc' THEN chosen.sort_key END DESC NULLS LAST,
  CASE WHEN CAST(:direction AS VARCHAR) = 'asc' THEN chosen.sort_key END NULLS LAST,
  CASE WHEN CAST(:direction AS VARCHAR) = 'asc' THEN chosen.created_at END,
  chosen.created_at DESC,
  chosen.event_id
