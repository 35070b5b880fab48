-- name: spend_by_tenant
-- purpose: what each tenant cost, dearest first
-- param since timestamp = -30d: calls from then on
-- param until timestamp = now: calls before then
-- param model text = '': models, separated by commas; empty means all
-- column tenant_id varchar: tenant; empty where calls carry none
-- column calls bigint: model calls
-- column tokens bigint: input and output tokens
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
-- column unpriced_calls bigint: calls whose cost is unknown
SELECT
  tenant_id,
  COUNT(*) AS calls,
  CAST(SUM(tokens) AS BIGINT) AS tokens,
  SUM(cost_usd) AS cost_usd,
  CAST(SUM(CASE WHEN cost_usd IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS unpriced_calls
FROM llm_requests
WHERE created_at >= CAST(:since AS TIMESTAMP)
  AND created_at < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
GROUP BY 1
ORDER BY cost_usd DESC NULLS LAST, tenant_id
