-- name: dashboard_calls
-- purpose: newest model calls of a period
-- param start timestamp: first moment, UTC
-- param end timestamp: first moment after, UTC
-- param models text = '': models separated by |; empty means all
-- param limit int = 200: rows
-- columns: event_id, timestamp, model, route, tenant_id, status, error_type, input_tokens, output_tokens, cost_usd, cost_status, latency_ms, ttft_ms
select
    event_id,
    "timestamp",
    coalesce(nullif(response_model, ''), nullif(request_model, ''), '(unknown)') as model,
    route,
    tenant_id,
    status,
    error_type,
    input_tokens,
    output_tokens,
    cost_usd,
    cost_status,
    latency_ms,
    ttft_ms
from llm_calls
where event_date >= cast(:start as date)
  and event_date <= cast(:end as date)
  and "timestamp" >= :start
  and "timestamp" < :end
  and (:models = '' or strpos('|' || :models || '|', '|' || coalesce(nullif(response_model, ''), nullif(request_model, ''), '(unknown)') || '|') > 0)
order by "timestamp" desc, event_id desc
limit :limit
