-- name: variants_totals
-- purpose: what each variant of an experiment, or version of a prompt, was asked and cost
-- param since timestamp = -30d: calls from then on
-- param until timestamp = now: calls before then
-- param by experiment|prompt = experiment: variants of an experiment, or versions of a prompt
-- param subject text: name of the experiment or prompt
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
-- column variant varchar: variant, or version of the prompt
-- column calls bigint: model calls
-- column errors bigint: those that failed
-- column unpriced_calls bigint: those whose cost is unknown
-- column users bigint: end users
-- column shared_users bigint: those of them who got another variant too
-- column sessions bigint: conversations and agent runs
-- column first_at timestamp: when its first call began, UTC
-- column last_at timestamp: when its last one began, UTC
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
WITH calls AS (
  SELECT
    CASE CAST(:by AS VARCHAR)
      WHEN 'prompt' THEN COALESCE(prompt_version, '')
      ELSE COALESCE(variant, '')
    END AS variant_name,
    NULLIF(user_id, '') AS user_id,
    NULLIF(session_id, '') AS session_id,
    "timestamp" AS created_at,
    status,
    cost_usd
  FROM llm_calls
  WHERE "timestamp" >= CAST(:since AS TIMESTAMP)
    AND "timestamp" < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND CASE CAST(:by AS VARCHAR) WHEN 'prompt' THEN prompt_name ELSE experiment END = CAST(:subject AS VARCHAR)
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
),
shared AS (
  SELECT user_id FROM calls WHERE user_id IS NOT NULL GROUP BY user_id HAVING COUNT(DISTINCT variant_name) > 1
)
SELECT
  calls.variant_name AS variant,
  COUNT(*) AS calls,
  CAST(SUM(CASE WHEN calls.status = 'error' THEN 1 ELSE 0 END) AS BIGINT) AS errors,
  CAST(SUM(CASE WHEN calls.cost_usd IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS unpriced_calls,
  COUNT(DISTINCT calls.user_id) AS users,
  COUNT(DISTINCT shared.user_id) AS shared_users,
  COUNT(DISTINCT calls.session_id) AS sessions,
  MIN(calls.created_at) AS first_at,
  MAX(calls.created_at) AS last_at,
  CAST(SUM(calls.cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM calls
LEFT JOIN shared ON shared.user_id = calls.user_id
GROUP BY 1
ORDER BY 1
