-- name: dashboard_spend
-- purpose: cost and calls per bucket of time and model; the model that answered, else the model asked for
-- param start timestamp = -30d: first moment, UTC
-- param end timestamp = now: first moment after, UTC
-- param bucket_s int = 86400: seconds of a bucket; buckets count from start
-- param models text = '': models separated by |; empty means all
-- column bucket_start timestamp: start of the bucket, UTC
-- column model varchar: model that answered, else the model asked for
-- column cost_usd decimal(38,12): sum over priced calls; null where none has a price
-- column calls bigint: model calls
with calls as (
    select
        dateadd(second, cast(floor(datediff(second, :start, "timestamp") / :bucket_s) * :bucket_s as integer), :start) as bucket_start,
        coalesce(nullif(response_model, ''), nullif(request_model, ''), '(unknown)') as model,
        cost_usd
    from llm_calls
    where event_date >= cast(:start as date)
      and event_date <= cast(:end as date)
      and "timestamp" >= :start
      and "timestamp" < :end
      and (:models = '' or strpos('|' || :models || '|', '|' || coalesce(nullif(response_model, ''), nullif(request_model, ''), '(unknown)') || '|') > 0)
)
select bucket_start, model, sum(cost_usd) as cost_usd, count(*) as calls
from calls
group by bucket_start, model
order by bucket_start, model
