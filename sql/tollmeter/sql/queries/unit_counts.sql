-- name: unit_counts
-- purpose: how many users and sessions calls of a span were made for, and what those calls cost
-- param since timestamp: calls from then on
-- param until timestamp: calls before then
-- param source sessions|rows = rows: the rollup of whole days where it has the dimensions asked; else rows
-- param since_whole timestamp = 2200-01-01: start of the first whole day; rows are read before it
-- param until_whole timestamp = 2200-01-01: end of the last whole day; rows are read from then on
-- param since_day date = 2200-01-01: first whole day of the reporting time zone
-- param until_day date = 2200-01-01: day after the last whole one
-- param rows read|skipped = read: skipped where the span is whole days
-- param model text = '': values, each with U+001F before it and after the last; empty means all; so all that follow
-- param request_model text = '': values
-- param provider text = '': values
-- param service text = '': values
-- param environment text = '': values
-- param version text = '': values
-- param region text = '': values
-- param route text = '': values
-- param tenant text = '': values
-- param team text = '': values
-- param feature text = '': values
-- param user text = '': values
-- param session text = '': values
-- param prompt text = '': values
-- param prompt_version text = '': values
-- param experiment text = '': values
-- param variant text = '': values
-- param status text = '': values
-- param error_type text = '': values
-- param stream text = '': values
-- column users bigint: different users
-- column users_cost_usd decimal(38,12): what calls that name a user cost
-- column sessions bigint: different sessions
-- column sessions_cost_usd decimal(38,12): what calls that name a session cost

WITH parts AS (
  SELECT user_id, session_id, cost_usd
  FROM rollup_sessions_daily
  WHERE CAST(:source AS VARCHAR) = 'sessions'
    AND calls > 0
    AND "day" >= CAST(:since_day AS DATE)
    AND "day" < CAST(:until_day AS DATE)
    AND event_date BETWEEN CAST(:since_day AS DATE) - 1 AND CAST(:until_day AS DATE)
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(CAST(:model AS VARCHAR), CHR(31) || model || CHR(31)) > 0)
    AND (CAST(:provider AS VARCHAR) = '' OR STRPOS(CAST(:provider AS VARCHAR), CHR(31) || provider || CHR(31)) > 0)
    AND (CAST(:service AS VARCHAR) = '' OR STRPOS(CAST(:service AS VARCHAR), CHR(31) || service || CHR(31)) > 0)
    AND (CAST(:environment AS VARCHAR) = '' OR STRPOS(CAST(:environment AS VARCHAR), CHR(31) || environment || CHR(31)) > 0)
    AND (CAST(:tenant AS VARCHAR) = '' OR STRPOS(CAST(:tenant AS VARCHAR), CHR(31) || tenant_id || CHR(31)) > 0)
    AND (CAST(:team AS VARCHAR) = '' OR STRPOS(CAST(:team AS VARCHAR), CHR(31) || team || CHR(31)) > 0)
    AND (CAST(:user AS VARCHAR) = '' OR STRPOS(CAST(:user AS VARCHAR), CHR(31) || user_id || CHR(31)) > 0)
    AND (CAST(:session AS VARCHAR) = '' OR STRPOS(CAST(:session AS VARCHAR), CHR(31) || session_id || CHR(31)) > 0)
  UNION ALL
  SELECT COALESCE(user_id, ''), COALESCE(session_id, ''), CAST(cost_usd AS DECIMAL(38, 12))
  FROM llm_calls
  WHERE CAST(:rows AS VARCHAR) = 'read'
    AND (
      (
        "timestamp" >= CAST(:since AS TIMESTAMP) AND "timestamp" < CAST(:since_whole AS TIMESTAMP)
        AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:since_whole AS DATE)
      ) OR (
        "timestamp" >= CAST(:until_whole AS TIMESTAMP) AND "timestamp" < CAST(:until AS TIMESTAMP)
        AND event_date BETWEEN CAST(:until_whole AS DATE) AND CAST(:until AS DATE)
      )
    )
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(CAST(:model AS VARCHAR), CHR(31) || COALESCE(NULLIF(response_model, ''), NULLIF(request_model, ''), '(unknown)') || CHR(31)) > 0)
    AND (CAST(:request_model AS VARCHAR) = '' OR STRPOS(CAST(:request_model AS VARCHAR), CHR(31) || COALESCE(request_model, '') || CHR(31)) > 0)
    AND (CAST(:provider AS VARCHAR) = '' OR STRPOS(CAST(:provider AS VARCHAR), CHR(31) || COALESCE(provider, '') || CHR(31)) > 0)
    AND (CAST(:service AS VARCHAR) = '' OR STRPOS(CAST(:service AS VARCHAR), CHR(31) || service || CHR(31)) > 0)
    AND (CAST(:environment AS VARCHAR) = '' OR STRPOS(CAST(:environment AS VARCHAR), CHR(31) || COALESCE(environment, '') || CHR(31)) > 0)
    AND (CAST(:version AS VARCHAR) = '' OR STRPOS(CAST(:version AS VARCHAR), CHR(31) || COALESCE(version, '') || CHR(31)) > 0)
    AND (CAST(:region AS VARCHAR) = '' OR STRPOS(CAST(:region AS VARCHAR), CHR(31) || COALESCE(region, '') || CHR(31)) > 0)
    AND (CAST(:route AS VARCHAR) = '' OR STRPOS(CAST(:route AS VARCHAR), CHR(31) || COALESCE(route, '') || CHR(31)) > 0)
    AND (CAST(:tenant AS VARCHAR) = '' OR STRPOS(CAST(:tenant AS VARCHAR), CHR(31) || COALESCE(tenant_id, '') || CHR(31)) > 0)
    AND (CAST(:team AS VARCHAR) = '' OR STRPOS(CAST(:team AS VARCHAR), CHR(31) || COALESCE(team, '') || CHR(31)) > 0)
    AND (CAST(:feature AS VARCHAR) = '' OR STRPOS(CAST(:feature AS VARCHAR), CHR(31) || COALESCE(feature, '') || CHR(31)) > 0)
    AND (CAST(:user AS VARCHAR) = '' OR STRPOS(CAST(:user AS VARCHAR), CHR(31) || COALESCE(user_id, '') || CHR(31)) > 0)
    AND (CAST(:session AS VARCHAR) = '' OR STRPOS(CAST(:session AS VARCHAR), CHR(31) || COALESCE(session_id, '') || CHR(31)) > 0)
    AND (CAST(:prompt AS VARCHAR) = '' OR STRPOS(CAST(:prompt AS VARCHAR), CHR(31) || COALESCE(prompt_name, '') || CHR(31)) > 0)
    AND (CAST(:prompt_version AS VARCHAR) = '' OR STRPOS(CAST(:prompt_version AS VARCHAR), CHR(31) || COALESCE(prompt_version, '') || CHR(31)) > 0)
    AND (CAST(:experiment AS VARCHAR) = '' OR STRPOS(CAST(:experiment AS VARCHAR), CHR(31) || COALESCE(experiment, '') || CHR(31)) > 0)
    AND (CAST(:variant AS VARCHAR) = '' OR STRPOS(CAST(:variant AS VARCHAR), CHR(31) || COALESCE(variant, '') || CHR(31)) > 0)
    AND (CAST(:status AS VARCHAR) = '' OR STRPOS(CAST(:status AS VARCHAR), CHR(31) || COALESCE(status, '') || CHR(31)) > 0)
    AND (CAST(:error_type AS VARCHAR) = '' OR STRPOS(CAST(:error_type AS VARCHAR), CHR(31) || COALESCE(error_type, '') || CHR(31)) > 0)
    AND (CAST(:stream AS VARCHAR) = '' OR STRPOS(CAST(:stream AS VARCHAR), CHR(31) || CASE WHEN stream THEN 'true' WHEN NOT stream THEN 'false' ELSE '' END || CHR(31)) > 0)
)
SELECT
  COUNT(DISTINCT NULLIF(user_id, '')) AS users,
  CAST(SUM(CASE WHEN user_id <> '' THEN cost_usd END) AS DECIMAL(38, 12)) AS users_cost_usd,
  COUNT(DISTINCT NULLIF(session_id, '')) AS sessions,
  CAST(SUM(CASE WHEN session_id <> '' THEN cost_usd END) AS DECIMAL(38, 12)) AS sessions_cost_usd
FROM parts
