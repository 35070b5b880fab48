-- name: dashboard_latency
-- purpose: quantiles of call latency per bucket of time
-- param start timestamp: first moment, UTC; buckets count from it
-- param end timestamp: first moment after, UTC
-- param bucket_s int = 86400: seconds of a bucket
-- param models text = '': models separated by |; empty means all
-- columns: bucket_start, p50_ms, p95_ms, p99_ms, calls
with calls as (
    select
        dateadd(second, cast(floor(datediff(second, :start, "timestamp") / :bucket_s) * :bucket_s as integer), :start) as bucket_start,
        latency_ms
    from llm_calls
    where event_date >= cast(:start as date)
      and event_date <= cast(:end as date)
      and "timestamp" >= :start
      and "timestamp" < :end
      and (:models = '' or strpos('|' || :models || '|', '|' || coalesce(nullif(response_model, ''), nullif(request_model, ''), '(unknown)') || '|') > 0)
      and latency_ms is not null
)
select
    bucket_start,
    percentile_cont(0.50) within group (order by latency_ms) as p50_ms,
    percentile_cont(0.95) within group (order by latency_ms) as p95_ms,
    percentile_cont(0.99) within group (order by latency_ms) as p99_ms,
    count(*) as calls
from calls
group by bucket_start
order by bucket_start
