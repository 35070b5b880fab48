-- name: spend_by_day
-- purpose: who or what cost how much by day of the reporting time zone, newest day and dearest first
-- param since date = -30d: days from this one on
-- param until date = now: days up to this one, itself included
-- param by tenant|team|feature|prompt|model|provider|service = team: what the spend is split by
-- column day date: day in the reporting time zone
-- column name varchar: tenant, team, …; a prompt with its version; empty where calls carry none
-- column calls bigint: model calls
-- column requests bigint: requests served; 0 by model or provider, which requests do not have
-- column errors bigint: failed calls
-- column input_tokens bigint: input tokens, cached ones included
-- column output_tokens bigint: output tokens, reasoning included
-- column cache_read_tokens bigint: part of input_tokens read from the provider's cache
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
-- column cache_savings_usd decimal(38,12): what caches saved; null where nothing is known of it
-- column unpriced_calls bigint: calls whose cost is unknown
WITH named AS (
  SELECT
    "day",
    CASE CAST(:by AS VARCHAR)
      WHEN 'tenant' THEN tenant_id
      WHEN 'team' THEN team
      WHEN 'feature' THEN feature
      WHEN 'prompt' THEN CASE WHEN prompt_version = '' THEN prompt_name ELSE prompt_name || ' ' || prompt_version END
      WHEN 'model' THEN model
      WHEN 'provider' THEN provider
      ELSE service
    END AS name,
    calls, requests, errors, input_tokens, output_tokens, cache_read_tokens, cost_usd, cache_savings_usd, unpriced_calls
  FROM rollup_spend_daily
  WHERE "day" BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
    AND event_date BETWEEN CAST(:since AS DATE) - 1 AND CAST(:until AS DATE) + 1
)
SELECT
  "day",
  name,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(SUM(requests) AS BIGINT) AS requests,
  CAST(SUM(errors) AS BIGINT) AS errors,
  CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
  CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
  CAST(SUM(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
  SUM(cost_usd) AS cost_usd,
  SUM(cache_savings_usd) AS cache_savings_usd,
  CAST(SUM(unpriced_calls) AS BIGINT) AS unpriced_calls
FROM named
WHERE name IS NOT NULL
GROUP BY "day", name
ORDER BY "day" DESC, cost_usd DESC NULLS LAST, name
