-- name: dashboard_latency
-- purpose: quantiles of call latency per bucket of time
-- param start timestamp = -30d: first moment, UTC
-- param end timestamp = now: first moment after, UTC
-- param bucket_s int = 86400: seconds of a bucket; buckets count from start
-- param models text = '': models separated by |; empty means all
-- column bucket_start timestamp: start of the bucket, UTC
-- column p50_ms double: median latency
-- column p95_ms double: 95th percentile
-- column p99_ms double: 99th percentile
-- column calls bigint: calls with a latency
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
