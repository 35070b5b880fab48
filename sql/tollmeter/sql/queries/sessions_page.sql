-- name: sessions_page
-- purpose: one page of the conversations and agent runs of some days, in the order asked for; unknown values come last
-- param since date = -30d: days of the reporting time zone from this one on
-- param until date = now: days up to this one, itself included
-- param model text = '': models that answered, else asked for, each between two U+001F; empty means all
-- param provider text = '': providers, likewise
-- param service text = '': services, likewise
-- param environment text = '': environments, likewise
-- param tenant text = '': tenants, likewise
-- param team text = '': teams, likewise
-- param user text = '': end users, likewise
-- param session text = '': sessions, likewise
-- param search text = '': a part of session, user or tenant; empty means all
-- param sort cost|calls|errors|tokens|duration|last = cost: what is sorted by
-- param direction desc|asc = desc: largest first, or last
-- param offset int = 0: rows of earlier pages
-- param limit int = 100: rows
-- column session_id varchar: conversation or agent run
-- column tenant_id varchar: its tenant; the same id of another tenant is another session
-- column user_id varchar: its user; one of them where there are several
-- column users bigint: how many users there are
-- column service varchar: its service; one of them where there are several
-- column first_at timestamp: when its first call or request of those days began, UTC
-- column last_at timestamp: when its last one began, UTC
-- column duration_s double: from the one to the other
-- column calls bigint: model calls
-- column requests bigint: requests served
-- column errors bigint: failed calls
-- column unpriced_calls bigint: calls whose cost is unknown
-- column input_tokens bigint: sum
-- column output_tokens bigint: sum
-- column cache_read_tokens bigint: sum
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one

-- The page's sessions first, by what they are sorted by; what the page shows is then added up for those alone.
WITH summed AS (
  SELECT
    session_id,
    COALESCE(tenant_id, '') AS tenant_id,
    CASE CAST(:sort AS VARCHAR)
      WHEN 'cost' THEN SUM(cost_usd)
      WHEN 'calls' THEN CAST(SUM(calls) AS DECIMAL(38, 12))
      WHEN 'errors' THEN CAST(SUM(errors) AS DECIMAL(38, 12))
      WHEN 'tokens' THEN CAST(SUM(input_tokens + output_tokens) AS DECIMAL(38, 12))
      WHEN 'duration' THEN CAST(
        EXTRACT(EPOCH FROM MAX(last_at)) - EXTRACT(EPOCH FROM MIN(first_at)) AS DECIMAL(38, 12)
      )
      ELSE CAST(EXTRACT(EPOCH FROM MAX(last_at)) AS DECIMAL(38, 12))
    END AS sort_key
  FROM rollup_sessions_daily
  WHERE session_id <> ''
    AND "day" BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND event_date BETWEEN CAST(:since AS DATE) - 1 AND CAST(:until AS DATE) + 1
    AND (
      CAST(:model AS VARCHAR) = ''
      OR STRPOS(CAST(:model AS VARCHAR), CHR(31) || COALESCE(model, '') || CHR(31)) > 0
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
      CAST(:tenant AS VARCHAR) = ''
      OR STRPOS(CAST(:tenant AS VARCHAR), CHR(31) || COALESCE(tenant_id, '') || CHR(31)) > 0
    )
    AND (CAST(:team AS VARCHAR) = '' OR STRPOS(CAST(:team AS VARCHAR), CHR(31) || COALESCE(team, '') || CHR(31)) > 0)
    AND (
      CAST(:user AS VARCHAR) = ''
      OR STRPOS(CAST(:user AS VARCHAR), CHR(31) || COALESCE(user_id, '') || CHR(31)) > 0
    )
    AND (
      CAST(:session AS VARCHAR) = ''
      OR STRPOS(CAST(:session AS VARCHAR), CHR(31) || COALESCE(session_id, '') || CHR(31)) > 0
    )
    AND (
      CAST(:search AS VARCHAR) = ''
      OR STRPOS(LOWER(session_id), LOWER(CAST(:search AS VARCHAR))) > 0
      OR STRPOS(LOWER(user_id), LOWER(CAST(:search AS VARCHAR))) > 0
      OR STRPOS(LOWER(tenant_id), LOWER(CAST(:search AS VARCHAR))) > 0
    )
  GROUP BY 1, 2
),
chosen AS (
  SELECT session_id, tenant_id, sort_key
  FROM summed
  ORDER BY
    CASE WHEN CAST(:direction AS VARCHAR) = 'desc' THEN sort_key END DESC NULLS LAST,
    CASE WHEN CAST(:direction AS VARCHAR) = 'asc' THEN sort_key END NULLS LAST,
    session_id,
    tenant_id
  LIMIT CAST(:limit AS BIGINT)
  OFFSET CAST(:offset AS BIGINT)
),
days AS (
  SELECT
    session_id,
    COALESCE(tenant_id, '') AS tenant_id,
    user_id,
    service,
    first_at,
    last_at,
    calls,
    requests,
    errors,
    unpriced_calls,
    input_tokens,
    output_tokens,
    cache_read_tokens,
    cost_usd
  FROM rollup_sessions_daily
  WHERE session_id <> ''
    AND "day" BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND event_date BETWEEN CAST(:since AS DATE) - 1 AND CAST(:until AS DATE) + 1
    AND (
      CAST(:model AS VARCHAR) = ''
      OR STRPOS(CAST(:model AS VARCHAR), CHR(31) || COALESCE(model, '') || CHR(31)) > 0
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
      CAST(:tenant AS VARCHAR) = ''
      OR STRPOS(CAST(:tenant AS VARCHAR), CHR(31) || COALESCE(tenant_id, '') || CHR(31)) > 0
    )
    AND (CAST(:team AS VARCHAR) = '' OR STRPOS(CAST(:team AS VARCHAR), CHR(31) || COALESCE(team, '') || CHR(31)) > 0)
    AND (
      CAST(:user AS VARCHAR) = ''
      OR STRPOS(CAST(:user AS VARCHAR), CHR(31) || COALESCE(user_id, '') || CHR(31)) > 0
    )
    AND (
      CAST(:session AS VARCHAR) = ''
      OR STRPOS(CAST(:session AS VARCHAR), CHR(31) || COALESCE(session_id, '') || CHR(31)) > 0
    )
    AND (
      CAST(:search AS VARCHAR) = ''
      OR STRPOS(LOWER(session_id), LOWER(CAST(:search AS VARCHAR))) > 0
      OR STRPOS(LOWER(user_id), LOWER(CAST(:search AS VARCHAR))) > 0
      OR STRPOS(LOWER(tenant_id), LOWER(CAST(:search AS VARCHAR))) > 0
    )
)
SELECT
  days.session_id,
  days.tenant_id,
  MAX(COALESCE(days.user_id, '')) AS user_id,
  COUNT(DISTINCT days.user_id) AS users,
  MAX(days.service) AS service,
  MIN(days.first_at) AS first_at,
  MAX(days.last_at) AS last_at,
  CAST(
    EXTRACT(EPOCH FROM MAX(days.last_at)) - EXTRACT(EPOCH FROM MIN(days.first_at)) AS DOUBLE PRECISION
  ) AS duration_s,
  CAST(SUM(days.calls) AS BIGINT) AS calls,
  CAST(SUM(days.requests) AS BIGINT) AS requests,
  CAST(SUM(days.errors) AS BIGINT) AS errors,
  CAST(SUM(days.unpriced_calls) AS BIGINT) AS unpriced_calls,
  CAST(SUM(days.input_tokens) AS BIGINT) AS input_tokens,
  CAST(SUM(days.output_tokens) AS BIGINT) AS output_tokens,
  CAST(SUM(days.cache_read_tokens) AS BIGINT) AS cache_read_tokens,
  CAST(SUM(days.cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM days
JOIN chosen ON chosen.session_id = days.session_id AND chosen.tenant_id = days.tenant_id
GROUP BY days.session_id, days.tenant_id, chosen.sort_key
ORDER BY
  CASE WHEN CAST(:direction AS VARCHAR) = 'desc' THEN chosen.sort_key END DESC NULLS LAST,
  CASE WHEN CAST(:direction AS VARCHAR) = 'asc' THEN chosen.sort_key END NULLS LAST,
  days.session_id,
  days.tenant_id
