-- name: dashboard_extent
-- purpose: every model the lake has seen, in order of first call, with the span of its calls
-- columns: model, first_call, last_call, last_ingested
select
    coalesce(nullif(response_model, ''), nullif(request_model, ''), '(unknown)') as model,
    min("timestamp") as first_call,
    max("timestamp") as last_call,
    max(ingested_at) as last_ingested
from llm_calls
group by 1
order by 2, 1
