-- name: prompts_seen
-- purpose: the prompts that calls were made with, most calls first, over days of the reporting time zone
-- param since date = -30d: days from this one on
-- param until date = now: days up to this one, itself included
-- param limit int = 200: rows
-- column subject varchar: its name
-- column variants bigint: versions
-- column calls bigint: model calls
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
SELECT
  prompt_name AS subject,
  COUNT(DISTINCT prompt_version) AS variants,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(SUM(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM rollup_spend_daily
WHERE prompt_name <> ''
  AND "day" BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND event_date BETWEEN CAST(:since AS DATE) - 1 AND CAST(:until AS DATE) + 1
GROUP BY 1
ORDER BY calls DESC, subject
LIMIT CAST(:limit AS BIGINT)
