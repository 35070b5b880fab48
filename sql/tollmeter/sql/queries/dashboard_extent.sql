-- name: dashboard_extent
-- purpose: every model the lake has seen, in order of first call, with the span of its calls
-- column model varchar: model that answered, else the model asked for
-- column first_call timestamp: its first call, UTC
-- column last_call timestamp: its last call, UTC
-- column last_ingested timestamp: when its newest row landed, UTC
select
    coalesce(nullif(response_model, ''), nullif(request_model, ''), '(unknown)') as model,
    min("timestamp") as first_call,
    max("timestamp") as last_call,
    max(ingested_at) as last_ingested
from llm_calls
group by 1
order by 2, 1
