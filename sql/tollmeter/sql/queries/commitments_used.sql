-- name: commitments_used
-- purpose: capacity that is paid by the hour: what it cost, what it served, what lay idle
-- param since timestamp = -30d: hours that begin from then on
-- param until timestamp = now: hours that begin before then
-- param limit int = 50: commitments
-- column commitment varchar: name in the price overlay
-- column provider varchar: provider
-- column resource_id varchar: deployment or provisioned throughput
-- column model varchar: model it names; empty where it names none
-- column hours bigint: hours paid
-- column calls bigint: model calls served
-- column tokens bigint: tokens served
-- column used_share double: mean share of the capacity that was used; null where the capacity is not known
-- column cost_usd decimal(38,12): what the hours cost, used or not
-- column idle_usd decimal(38,12): part of it that lay idle; null where that is known of no hour
SELECT
  commitment,
  COALESCE(provider, '') AS provider,
  resource_id,
  COALESCE(model, '') AS model,
  COUNT(*) AS hours,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(SUM(input_tokens + output_tokens) AS BIGINT) AS tokens,
  AVG(used_share) AS used_share,
  SUM(cost_usd) AS cost_usd,
  SUM(idle_cost_usd) AS idle_usd
FROM commitment_hours
WHERE hour >= CAST(:since AS TIMESTAMP)
  AND hour < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
GROUP BY 1, 2, 3, 4
ORDER BY cost_usd DESC, commitment
LIMIT CAST(:limit AS BIGINT)
