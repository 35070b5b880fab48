-- name: spend_with_commitments
-- purpose: the bill by day and model: what calls cost, and what capacity paid by the hour cost, idle or not
-- param since timestamp = -30d: calls from then on, and hours that begin from then on
-- param until timestamp = now: calls before then, and hours that begin before then
-- column day date: day, UTC
-- column model varchar: model that answered, else the model asked for; of a commitment the model it names, else its own name
-- column calls bigint: model calls
-- column calls_usd decimal(38,12): sum over calls with a known cost; those that ran on committed capacity cost 0
-- column commitments_usd decimal(38,12): what committed capacity cost, used or not
-- column idle_usd decimal(38,12): part of commitments_usd that lay idle; null where that is known of no hour
-- column total_usd decimal(38,12): calls_usd and commitments_usd
-- column unpriced_calls bigint: calls whose cost is unknown
WITH spend AS (
  SELECT
    CAST(DATE_TRUNC('day', created_at) AS DATE) AS day,
    model,
    1 AS calls,
    CAST(cost_usd AS DECIMAL(38, 12)) AS calls_usd,
    CAST(0 AS DECIMAL(38, 12)) AS commitments_usd,
    CAST(NULL AS DECIMAL(38, 12)) AS idle_usd,
    CASE WHEN cost_usd IS NULL THEN 1 ELSE 0 END AS unpriced
  FROM llm_requests
  WHERE created_at >= CAST(:since AS TIMESTAMP)
    AND created_at < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  UNION ALL
  SELECT
    event_date AS day,
    COALESCE(NULLIF(model, ''), commitment) AS model,
    0 AS calls,
    CAST(NULL AS DECIMAL(38, 12)) AS calls_usd,
    cost_usd AS commitments_usd,
    idle_cost_usd AS idle_usd,
    0 AS unpriced
  FROM commitment_hours
  WHERE hour >= CAST(:since AS TIMESTAMP)
    AND hour < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
)
SELECT
  day,
  model,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(COALESCE(SUM(calls_usd), 0) AS DECIMAL(38, 12)) AS calls_usd,
  SUM(commitments_usd) AS commitments_usd,
  SUM(idle_usd) AS idle_usd,
  CAST(COALESCE(SUM(calls_usd), 0) + SUM(commitments_usd) AS DECIMAL(38, 12)) AS total_usd,
  CAST(SUM(unpriced) AS BIGINT) AS unpriced_calls
FROM spend
GROUP BY 1, 2
ORDER BY day DESC, total_usd DESC, model
