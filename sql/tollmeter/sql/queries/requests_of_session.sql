-- name: requests_of_session
-- purpose: the requests of one conversation or agent run, with their steps, in order
-- param session text: id of the session
-- param tenant text: its tenant; the same id of another is another session
-- param since date = -7d: first day (UTC) it may be of
-- param until date = now: last day (UTC) it may be of
-- param limit int = 2000: rows
-- column created_at timestamp: when it began, UTC
-- column event_id varchar: id of the event
-- column service varchar: service that served it
-- column request_id varchar: its id
-- column route varchar: route template
-- column method varchar: HTTP method, or WEBSOCKET, LAMBDA, QUEUE, JOB
-- column status_code bigint: HTTP status sent to the client
-- column error_type varchar: class or code of the error
-- column duration_ms double: to the last byte of the response
-- column steps varchar: named spans inside it, JSON
SELECT
  "timestamp" AS created_at,
  event_id,
  service,
  COALESCE(request_id, '') AS request_id,
  COALESCE(route, '') AS route,
  COALESCE(method, '') AS method,
  status_code,
  COALESCE(error_type, '') AS error_type,
  duration_ms,
  steps
FROM requests
WHERE session_id = CAST(:session AS VARCHAR)
  AND COALESCE(tenant_id, '') = CAST(:tenant AS VARCHAR)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
ORDER BY "timestamp", event_id
LIMIT CAST(:limit AS BIGINT)
