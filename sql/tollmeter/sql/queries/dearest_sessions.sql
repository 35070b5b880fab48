-- name: dearest_sessions
-- purpose: the conversations and agent runs that cost most, over days of the reporting time zone
-- param since date = -30d: days from this one on
-- param until date = now: days up to this one, itself included
-- param tenant text = '': tenant; empty means all
-- param user text = '': end user; empty means all
-- param limit int = 50: rows
-- column session_id varchar: conversation or agent run
-- column tenant_id varchar: its tenant; one of them where there are several
-- column user_id varchar: its user; one of them where there are several
-- column first_at timestamp: when its first call or request began, UTC
-- column last_at timestamp: when its last one began, UTC
-- column calls bigint: model calls
-- column requests bigint: requests served
-- column errors bigint: failed calls
-- column tokens bigint: input and output tokens
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
-- column unpriced_calls bigint: calls whose cost is unknown
SELECT
  session_id,
  MAX(tenant_id) AS tenant_id,
  MAX(user_id) AS user_id,
  MIN(first_at) AS first_at,
  MAX(last_at) AS last_at,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(SUM(requests) AS BIGINT) AS requests,
  CAST(SUM(errors) AS BIGINT) AS errors,
  CAST(SUM(input_tokens + output_tokens) AS BIGINT) AS tokens,
  SUM(cost_usd) AS cost_usd,
  CAST(SUM(unpriced_calls) AS BIGINT) AS unpriced_calls
FROM rollup_sessions_daily
WHERE session_id <> ''
  AND "day" BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND event_date BETWEEN CAST(:since AS DATE) - 1 AND CAST(:until AS DATE) + 1
  AND (CAST(:tenant AS VARCHAR) = '' OR tenant_id = CAST(:tenant AS VARCHAR))
  AND (CAST(:user AS VARCHAR) = '' OR user_id = CAST(:user AS VARCHAR))
GROUP BY session_id
ORDER BY cost_usd DESC NULLS LAST, session_id
LIMIT CAST(:limit AS BIGINT)
