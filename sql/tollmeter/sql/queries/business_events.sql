-- name: business_events
-- purpose: what one of each business event costs: requests by a tag that names it, with the cost of their calls
-- param since timestamp = -30d: requests from then on
-- param until timestamp = now: requests before then
-- param tag text = event: name of the tag; letters, digits, dot, hyphen and underscore
-- param limit int = 50: events
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
-- column event varchar: the tag as written, JSON text of one member
-- column requests bigint: requests that carry it
-- column calls bigint: model calls made in them
-- column unpriced_calls bigint: of these, calls whose cost is unknown
-- column cost_usd decimal(38,12): what the others cost; null where no cost is known

-- Filters by model, provider, status, error type and streaming narrow the calls, all others the requests.
WITH tagged AS (
  SELECT request_id, REGEXP_SUBSTR(tags, '"' || CAST(:tag AS VARCHAR) || '": ?"[^"]*"') AS event
  FROM requests
  WHERE "timestamp" >= CAST(:since AS TIMESTAMP)
    AND "timestamp" < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND request_id <> ''
    AND tags LIKE '%"' || CAST(:tag AS VARCHAR) || '"%'
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
),
named AS (
  SELECT request_id, event FROM tagged WHERE event <> ''
),
spent AS (
  SELECT
    request_id,
    COUNT(*) AS calls,
    SUM(CASE WHEN cost_usd IS NULL THEN 1 ELSE 0 END) AS unpriced_calls,
    SUM(cost_usd) AS cost_usd
  FROM llm_calls
  WHERE "timestamp" >= CAST(:since AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE) + 1
    AND request_id IN (SELECT request_id FROM named)
    AND (CAST(:model AS VARCHAR) = '' OR STRPOS(CAST(:model AS VARCHAR), CHR(31) || COALESCE(NULLIF(response_model, ''), NULLIF(request_model, ''), '(unknown)') || CHR(31)) > 0)
    AND (CAST(:request_model AS VARCHAR) = '' OR STRPOS(CAST(:request_model AS VARCHAR), CHR(31) || COALESCE(request_model, '') || CHR(31)) > 0)
    AND (CAST(:provider AS VARCHAR) = '' OR STRPOS(CAST(:provider AS VARCHAR), CHR(31) || COALESCE(provider, '') || CHR(31)) > 0)
    AND (CAST(:status AS VARCHAR) = '' OR STRPOS(CAST(:status AS VARCHAR), CHR(31) || COALESCE(status, '') || CHR(31)) > 0)
    AND (CAST(:error_type AS VARCHAR) = '' OR STRPOS(CAST(:error_type AS VARCHAR), CHR(31) || COALESCE(error_type, '') || CHR(31)) > 0)
    AND (CAST(:stream AS VARCHAR) = '' OR STRPOS(CAST(:stream AS VARCHAR), CHR(31) || CASE WHEN stream THEN 'true' WHEN NOT stream THEN 'false' ELSE '' END || CHR(31)) > 0)
  GROUP BY request_id
)
SELECT
  named.event,
  COUNT(*) AS requests,
  CAST(COALESCE(SUM(spent.calls), 0) AS BIGINT) AS calls,
  CAST(COALESCE(SUM(spent.unpriced_calls), 0) AS BIGINT) AS unpriced_calls,
  CAST(SUM(spent.cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM named LEFT JOIN spent ON spent.request_id = named.request_id
GROUP BY named.event
ORDER BY requests DESC, named.event
LIMIT CAST(:limit AS BIGINT)
