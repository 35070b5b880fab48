-- name: simulated_fields
-- purpose: which fields of the calls of a period were made up, as their tag tollmeter.simulated says
-- param since timestamp = -30d: calls from then on
-- param until timestamp = now: calls before then
-- column simulated varchar: the tag as written, JSON text of one member
-- column calls bigint: model calls that carry it
SELECT REGEXP_SUBSTR(tags, '"tollmeter[.]simulated": ?"[^"]*"') AS simulated, COUNT(*) AS calls
FROM llm_calls
WHERE "timestamp" >= CAST(:since AS TIMESTAMP)
  AND "timestamp" < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND tags LIKE '%tollmeter.simulated%'
GROUP BY 1
ORDER BY 1
