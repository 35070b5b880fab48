-- name: spend_cells
-- purpose: what each value of a dimension spent on each model in a span, with tokens and parts of the cost by class
-- param since timestamp: calls from then on
-- param until timestamp: calls before then
-- param source hours|days|spend|rows = rows: the rollup of whole hours or days that has the dimensions asked; else rows
-- param since_whole timestamp = 2200-01-01: start of the first whole hour or day; rows are read before it
-- param until_whole timestamp = 2200-01-01: end of the last whole hour or day; rows are read from then on
-- param since_day date = 2200-01-01: of the sources by day the first whole day of the reporting time zone
-- param until_day date = 2200-01-01: of the sources by day the day after the last whole one
-- param rows read|skipped = read: skipped where the span is whole hours or days
-- param by none|model|request_model|provider|service|environment|version|region|route|tenant|team|feature|user|session|prompt|prompt_version|experiment|variant|status|error_type|stream = team: dimension
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
-- column name varchar: value of the dimension; empty where calls have none
-- column model varchar: model that answered, else the model asked for
-- column calls bigint: model calls
-- column unpriced_calls bigint: calls whose cost is unknown
-- column input_tokens bigint: input tokens, cached ones included
-- column output_tokens bigint: output tokens, reasoning included
-- column cache_read_tokens bigint: part of input_tokens read from the provider's cache
-- column cache_write_tokens bigint: part of input_tokens written to it
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
-- column input_cost_usd decimal(38,12): of uncached input
-- column output_cost_usd decimal(38,12): of output
-- column cache_read_cost_usd decimal(38,12): of cache reads
-- column cache_write_cost_usd decimal(38,12): of cache writes
-- column fees_usd decimal(38,12): per-use fees

-- As in the query sums: whole hours or days come from a rollup, what lies before and after them from rows; the branches
-- that are not asked for are constant false.
WITH parts AS (
  SELECT
    model, CAST(NULL AS VARCHAR) AS request_model, provider, service, environment, CAST(NULL AS VARCHAR) AS version,
    CAST(NULL AS VARCHAR) AS region, route, CAST(NULL AS VARCHAR) AS tenant_id, CAST(NULL AS VARCHAR) AS team,
    CAST(NULL AS VARCHAR) AS feature, CAST(NULL AS VARCHAR) AS user_id, CAST(NULL AS VARCHAR) AS session_id,
    CAST(NULL AS VARCHAR) AS prompt_name, CAST(NULL AS VARCHAR) AS prompt_version,
    CAST(NULL AS VARCHAR) AS experiment, CAST(NULL AS VARCHAR) AS variant, status, error_type,
    CAST(NULL AS VARCHAR) AS stream, calls, unpriced_calls, input_tokens, output_tokens, cache_read_tokens,
    cache_write_tokens, cost_usd, input_cost_usd, output_cost_usd, cache_read_cost_usd, cache_write_cost_usd,
    fees_usd
  FROM rollup_calls_hourly
  WHERE CAST(:source AS VARCHAR) = 'hours'
    AND hour >= CAST(:since_whole AS TIMESTAMP)
    AND hour < CAST(:until_whole AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since_whole AS DATE) AND CAST(:until_whole AS DATE)
  UNION ALL
  SELECT
    model, NULL, provider, service, environment, NULL, NULL, route, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, status, error_type, NULL, calls, unpriced_calls, input_tokens, output_tokens, cache_read_tokens,
    cache_write_tokens, cost_usd, input_cost_usd, output_cost_usd, cache_read_cost_usd, cache_write_cost_usd,
    fees_usd
  FROM rollup_calls_daily
  WHERE CAST(:source AS VARCHAR) = 'days'
    AND calls > 0
    AND "day" >= CAST(:since_day AS DATE)
    AND "day" < CAST(:until_day AS DATE)
    AND event_date BETWEEN CAST(:since_day AS DATE) - 1 AND CAST(:until_day AS DATE)
  UNION ALL
  SELECT
    model, NULL, provider, service, environment, NULL, NULL, NULL, tenant_id, team, feature, NULL, NULL, prompt_name,
    prompt_version, NULL, NULL, NULL, NULL, NULL, calls, unpriced_calls, input_tokens, output_tokens,
    cache_read_tokens, cache_write_tokens, cost_usd, input_cost_usd, output_cost_usd, cache_read_cost_usd,
    cache_write_cost_usd, fees_usd
  FROM rollup_spend_daily
  WHERE CAST(:source AS VARCHAR) = 'spend'
    AND calls > 0
    AND "day" >= CAST(:since_day AS DATE)
    AND "day" < CAST(:until_day AS DATE)
    AND event_date BETWEEN CAST(:since_day AS DATE) - 1 AND CAST(:until_day AS DATE)
  UNION ALL
  SELECT
    COALESCE(NULLIF(response_model, ''), NULLIF(request_model, ''), '(unknown)'), COALESCE(request_model, ''),
    COALESCE(provider, ''), service, COALESCE(environment, ''), COALESCE(version, ''), COALESCE(region, ''),
    COALESCE(route, ''), COALESCE(tenant_id, ''), COALESCE(team, ''), COALESCE(feature, ''), COALESCE(user_id, ''),
    COALESCE(session_id, ''), COALESCE(prompt_name, ''), COALESCE(prompt_version, ''), COALESCE(experiment, ''),
    COALESCE(variant, ''), COALESCE(status, ''), COALESCE(error_type, ''),
    CASE WHEN stream THEN 'true' WHEN NOT stream THEN 'false' ELSE '' END, 1,
    CASE WHEN cost_usd IS NULL THEN 1 ELSE 0 END, COALESCE(input_tokens, 0), COALESCE(output_tokens, 0),
    COALESCE(cache_read_tokens, 0), COALESCE(cache_write_tokens, 0), cost_usd, input_cost_usd, output_cost_usd,
    cache_read_cost_usd, cache_write_cost_usd, fees_usd
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
),
named AS (
  SELECT
    CASE CAST(:by AS VARCHAR)
      WHEN 'model' THEN model
      WHEN 'request_model' THEN request_model
      WHEN 'provider' THEN provider
      WHEN 'service' THEN service
      WHEN 'environment' THEN environment
      WHEN 'version' THEN version
      WHEN 'region' THEN region
      WHEN 'route' THEN route
      WHEN 'tenant' THEN tenant_id
      WHEN 'team' THEN team
      WHEN 'feature' THEN feature
      WHEN 'user' THEN user_id
      WHEN 'session' THEN session_id
      WHEN 'prompt' THEN prompt_name
      WHEN 'prompt_version' THEN prompt_version
      WHEN 'experiment' THEN experiment
      WHEN 'variant' THEN variant
      WHEN 'status' THEN status
      WHEN 'error_type' THEN error_type
      WHEN 'stream' THEN stream
      ELSE ''
    END AS name,
    model,
    calls, unpriced_calls, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_usd,
    input_cost_usd, output_cost_usd, cache_read_cost_usd, cache_write_cost_usd, fees_usd
  FROM parts
  WHERE (CAST(:model AS VARCHAR) = '' OR STRPOS(CAST(:model AS VARCHAR), CHR(31) || model || CHR(31)) > 0)
    AND (CAST(:request_model AS VARCHAR) = '' OR STRPOS(CAST(:request_model AS VARCHAR), CHR(31) || request_model || CHR(31)) > 0)
    AND (CAST(:provider AS VARCHAR) = '' OR STRPOS(CAST(:provider AS VARCHAR), CHR(31) || provider || CHR(31)) > 0)
    AND (CAST(:service AS VARCHAR) = '' OR STRPOS(CAST(:service AS VARCHAR), CHR(31) || service || CHR(31)) > 0)
    AND (CAST(:environment AS VARCHAR) = '' OR STRPOS(CAST(:environment AS VARCHAR), CHR(31) || environment || CHR(31)) > 0)
    AND (CAST(:version AS VARCHAR) = '' OR STRPOS(CAST(:version AS VARCHAR), CHR(31) || version || CHR(31)) > 0)
    AND (CAST(:region AS VARCHAR) = '' OR STRPOS(CAST(:region AS VARCHAR), CHR(31) || region || CHR(31)) > 0)
    AND (CAST(:route AS VARCHAR) = '' OR STRPOS(CAST(:route AS VARCHAR), CHR(31) || route || CHR(31)) > 0)
    AND (CAST(:tenant AS VARCHAR) = '' OR STRPOS(CAST(:tenant AS VARCHAR), CHR(31) || tenant_id || CHR(31)) > 0)
    AND (CAST(:team AS VARCHAR) = '' OR STRPOS(CAST(:team AS VARCHAR), CHR(31) || team || CHR(31)) > 0)
    AND (CAST(:feature AS VARCHAR) = '' OR STRPOS(CAST(:feature AS VARCHAR), CHR(31) || feature || CHR(31)) > 0)
    AND (CAST(:user AS VARCHAR) = '' OR STRPOS(CAST(:user AS VARCHAR), CHR(31) || user_id || CHR(31)) > 0)
    AND (CAST(:session AS VARCHAR) = '' OR STRPOS(CAST(:session AS VARCHAR), CHR(31) || session_id || CHR(31)) > 0)
    AND (CAST(:prompt AS VARCHAR) = '' OR STRPOS(CAST(:prompt AS VARCHAR), CHR(31) || prompt_name || CHR(31)) > 0)
    AND (CAST(:prompt_version AS VARCHAR) = '' OR STRPOS(CAST(:prompt_version AS VARCHAR), CHR(31) || prompt_version || CHR(31)) > 0)
    AND (CAST(:experiment AS VARCHAR) = '' OR STRPOS(CAST(:experiment AS VARCHAR), CHR(31) || experiment || CHR(31)) > 0)
    AND (CAST(:variant AS VARCHAR) = '' OR STRPOS(CAST(:variant AS VARCHAR), CHR(31) || variant || CHR(31)) > 0)
    AND (CAST(:status AS VARCHAR) = '' OR STRPOS(CAST(:status AS VARCHAR), CHR(31) || status || CHR(31)) > 0)
    AND (CAST(:error_type AS VARCHAR) = '' OR STRPOS(CAST(:error_type AS VARCHAR), CHR(31) || error_type || CHR(31)) > 0)
    AND (CAST(:stream AS VARCHAR) = '' OR STRPOS(CAST(:stream AS VARCHAR), CHR(31) || stream || CHR(31)) > 0)
)
SELECT
  COALESCE(name, '') AS name,
  COALESCE(model, '') AS model,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(SUM(unpriced_calls) AS BIGINT) AS unpriced_calls,
  CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
  CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
  CAST(SUM(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
  CAST(SUM(cache_write_tokens) AS BIGINT) AS cache_write_tokens,
  CAST(SUM(cost_usd) AS DECIMAL(38, 12)) AS cost_usd,
  CAST(SUM(input_cost_usd) AS DECIMAL(38, 12)) AS input_cost_usd,
  CAST(SUM(output_cost_usd) AS DECIMAL(38, 12)) AS output_cost_usd,
  CAST(SUM(cache_read_cost_usd) AS DECIMAL(38, 12)) AS cache_read_cost_usd,
  CAST(SUM(cache_write_cost_usd) AS DECIMAL(38, 12)) AS cache_write_cost_usd,
  CAST(SUM(fees_usd) AS DECIMAL(38, 12)) AS fees_usd
FROM named
GROUP BY 1, 2
ORDER BY name, model
