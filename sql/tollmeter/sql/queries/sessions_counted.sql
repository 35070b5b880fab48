-- name: sessions_counted
-- purpose: how many conversations and agent runs some days had, and what they cost
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
-- column sessions bigint: conversations and agent runs
-- column calls bigint: their model calls
-- column errors bigint: those that failed
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
SELECT
  COUNT(*) AS sessions,
  CAST(COALESCE(SUM(calls), 0) AS BIGINT) AS calls,
  CAST(COALESCE(SUM(errors), 0) AS BIGINT) AS errors,
  CAST(SUM(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM (
  SELECT
    session_id,
    COALESCE(tenant_id, '') AS tenant_id,
    SUM(calls) AS calls,
    SUM(errors) AS errors,
    SUM(cost_usd) AS cost_usd
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
) AS sessions
