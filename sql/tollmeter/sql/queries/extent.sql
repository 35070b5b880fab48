-- name: extent
-- purpose: what the lake holds over all time, in one row: first and last call, and when the newest row landed
-- column first_call timestamp: the first call, UTC; null in an empty lake
-- column last_call timestamp: the last call, UTC
-- column last_ingested timestamp: when the newest row landed, UTC; null where rows of some tenants alone may be seen

-- The rollup of calls carries no tenant, so that a reader of one tenant has that of spend alone.
SELECT
  d.first_call,
  d.last_call,
  h.last_ingested
FROM (SELECT MIN(first_at) AS first_call, MAX(last_at) AS last_call FROM rollup_spend_daily) AS d
CROSS JOIN (SELECT MAX(last_ingested_at) AS last_ingested FROM rollup_calls_daily) AS h
