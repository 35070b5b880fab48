-- name: dashboard_calls
-- purpose: newest model calls of a period
-- param start timestamp = -30d: first moment, UTC
-- param end timestamp = now: first moment after, UTC
-- param models text = '': models separated by |; empty means all
-- param limit int = 200: rows
-- column event_id varchar: id of the call
-- column timestamp timestamp: when it began, UTC
-- column model varchar: model that answered, else the model asked for
-- column route varchar: route template
-- column tenant_id varchar: tenant
-- column status varchar: ok, error or partial
-- column error_type varchar: class or code of the error
-- column input_tokens bigint: all input
-- column output_tokens bigint: all output
-- column cost_usd decimal(18,12): cost, null where unknown
-- column cost_status varchar: priced, estimated, partial, unpriced or inconsistent
-- column latency_ms double: until the end of the answer
-- column ttft_ms double: until the first token
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
