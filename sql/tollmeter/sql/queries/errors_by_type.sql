-- name: errors_by_type
-- purpose: the error types that failed most model calls
-- param since timestamp = -30d: calls from then on
-- param until timestamp = now: calls before then
-- param model text = '': models, separated by commas; empty means all
-- param limit int = 10: rows
-- column error_type varchar: class or code of the error
-- column errors bigint: failed calls
-- column first_seen timestamp: first of them, UTC
-- column last_seen timestamp: last of them, UTC
SELECT
  error_type,
  COUNT(*) AS errors,
  MIN(created_at) AS first_seen,
  MAX(created_at) AS last_seen
FROM llm_requests
WHERE status = 'error'
  AND created_at >= CAST(:since AS TIMESTAMP)
  AND created_at < CAST(:until AS TIMESTAMP)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
  AND (CAST(:model AS VARCHAR) = '' OR STRPOS(',' || CAST(:model AS VARCHAR) || ',', ',' || model || ',') > 0)
GROUP BY 1
ORDER BY errors DESC, error_type
LIMIT CAST(:limit AS BIGINT)
