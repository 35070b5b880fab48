-- name: evaluations_of_calls
-- purpose: the scores of some model calls, oldest first
-- param calls text: ids of the calls, each between two U+001F
-- param since date = -7d: first day (UTC) they may be scored on
-- param until date = now: last day (UTC)
-- param limit int = 1000: rows
-- column created_at timestamp: when it was scored, UTC
-- column event_id varchar: id of the score
-- column call_id varchar: call that is scored
-- column name varchar: what is scored, such as relevance
-- column score double: the score
-- column evaluator varchar: who scored
-- column comment varchar: why
SELECT
  "timestamp" AS created_at,
  event_id,
  call_id,
  name,
  score,
  COALESCE(evaluator, '') AS evaluator,
  COALESCE(comment, '') AS comment
FROM evaluations
WHERE STRPOS(CAST(:calls AS VARCHAR), CHR(31) || call_id || CHR(31)) > 0
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
ORDER BY "timestamp", event_id
LIMIT CAST(:limit AS BIGINT)
