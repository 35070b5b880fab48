-- name: values_seen
-- purpose: the values of a dimension that had most calls over all time, in order of their first call, from rollups
-- param by model|provider|service|environment|tenant|team|feature|prompt|prompt_version|route|status|error_type = model: dimension
-- param top int = 23: values
-- column name varchar: the value
-- column first_call timestamp: its first call, UTC
-- column calls bigint: its calls
WITH parts AS (
  SELECT
    CASE CAST(:by AS VARCHAR)
      WHEN 'model' THEN model
      WHEN 'provider' THEN provider
      WHEN 'service' THEN service
      WHEN 'environment' THEN environment
      WHEN 'tenant' THEN tenant_id
      WHEN 'team' THEN team
      WHEN 'feature' THEN feature
      WHEN 'prompt' THEN prompt_name
      WHEN 'prompt_version' THEN prompt_version
    END AS name,
    first_at,
    calls
  FROM rollup_spend_daily
  WHERE CAST(:by AS VARCHAR) NOT IN ('route', 'status', 'error_type')
  UNION ALL
  SELECT
    CASE CAST(:by AS VARCHAR)
      WHEN 'route' THEN route
      WHEN 'status' THEN status
      WHEN 'error_type' THEN error_type
    END,
    first_at,
    calls
  FROM rollup_calls_daily
  WHERE CAST(:by AS VARCHAR) IN ('route', 'status', 'error_type')
),
counted AS (
  SELECT name, MIN(first_at) AS first_call, CAST(SUM(calls) AS BIGINT) AS calls
  FROM parts
  WHERE name <> '' AND calls > 0
  GROUP BY name
),
ranked AS (
  SELECT name, first_call, calls, ROW_NUMBER() OVER (ORDER BY calls DESC, name) AS place
  FROM counted
)
SELECT name, first_call, calls
FROM ranked
WHERE place <= CAST(:top AS BIGINT)
ORDER BY first_call, name
