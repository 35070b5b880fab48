-- name: variants_compared
-- purpose: sums from which means, rates and their intervals follow, by variant and measure, over sessions
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
-- column measure varchar: cost_usd, latency_ms, ttft_ms, tokens, error (1 or 0), or score and what was scored
-- column clusters bigint: sessions (users, calls, where there is none) that have the measure
-- column calls bigint: calls that have it
-- column total double: sum over calls
-- column square_totals double: sum of squares of the sums of sessions
-- column products double: sum over sessions of their sum times their calls
-- column square_calls double: sum of squares of the calls of sessions
WITH calls AS (
  SELECT
    event_id,
    CASE CAST(:by AS VARCHAR)
      WHEN 'prompt' THEN COALESCE(prompt_version, '')
      ELSE COALESCE(variant, '')
    END AS variant_name,
    COALESCE(NULLIF(session_id, ''), NULLIF(user_id, ''), event_id) AS cluster_id,
    CAST(cost_usd AS DOUBLE PRECISION) AS cost_usd,
    latency_ms,
    ttft_ms,
    CAST(input_tokens + output_tokens AS DOUBLE PRECISION) AS tokens,
    CAST(CASE WHEN status = 'error' THEN 1 ELSE 0 END AS DOUBLE PRECISION) AS failed
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
measured AS (
  SELECT variant_name, cluster_id, 'cost_usd' AS measure, cost_usd AS amount FROM calls
  UNION ALL
  SELECT variant_name, cluster_id, 'latency_ms' AS measure, latency_ms AS amount FROM calls
  UNION ALL
  SELECT variant_name, cluster_id, 'ttft_ms' AS measure, ttft_ms AS amount FROM calls
  UNION ALL
  SELECT variant_name, cluster_id, 'tokens' AS measure, tokens AS amount FROM calls
  UNION ALL
  SELECT variant_name, cluster_id, 'error' AS measure, failed AS amount FROM calls
  UNION ALL
  -- A score may come days after its call.
  SELECT calls.variant_name, calls.cluster_id, 'score ' || evaluations.name AS measure, evaluations.score AS amount
  FROM evaluations
  JOIN calls ON calls.event_id = evaluations.call_id
  WHERE evaluations.event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE) + 31
),
clusters AS (
  SELECT variant_name, measure, cluster_id, SUM(amount) AS s, CAST(COUNT(amount) AS DOUBLE PRECISION) AS n
  FROM measured
  GROUP BY 1, 2, 3
)
SELECT
  variant_name AS variant,
  measure,
  COUNT(*) AS clusters,
  CAST(SUM(n) AS BIGINT) AS calls,
  SUM(s) AS total,
  SUM(s * s) AS square_totals,
  SUM(s * n) AS products,
  SUM(n * n) AS square_calls
FROM clusters
WHERE n > 0
GROUP BY 1, 2
ORDER BY 1, 2
