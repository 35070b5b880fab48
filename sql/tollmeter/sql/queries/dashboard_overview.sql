-- name: dashboard_overview
-- purpose: headline numbers of one period, in one row
-- param start timestamp = -30d: first moment, UTC
-- param end timestamp = now: first moment after, UTC
-- param models text = '': models separated by |; empty means all
-- column spend decimal(38,12): sum over priced calls, USD; null where there is none
-- column calls bigint: model calls
-- column failed_calls bigint: of them with status error
-- column unpriced_calls bigint: of them with usage but without a price
-- column input_tokens bigint: sum
-- column output_tokens bigint: sum
-- column cache_read_tokens bigint: sum, part of input_tokens
-- column requests bigint: requests served; with a model filter those that called such a model
-- column p95_latency_ms double: 95th percentile of call latency
-- column p95_ttft_ms double: 95th percentile of time to first token
with calls as (
    select
        request_id, status, cost_usd, cost_status, input_tokens, output_tokens, cache_read_tokens, latency_ms, ttft_ms
    from llm_calls
    where event_date >= cast(:start as date)
      and event_date <= cast(:end as date)
      and "timestamp" >= :start
      and "timestamp" < :end
      and (:models = '' or strpos('|' || :models || '|', '|' || coalesce(nullif(response_model, ''), nullif(request_model, ''), '(unknown)') || '|') > 0)
),
served as (
    -- With a model filter a request counts if one of its calls went to such a model.
    select count(*) as requests
    from requests
    where event_date >= cast(:start as date)
      and event_date <= cast(:end as date)
      and "timestamp" >= :start
      and "timestamp" < :end
      and (:models = '' or request_id in (select request_id from calls where request_id <> ''))
),
latency as (select percentile_cont(0.95) within group (order by latency_ms) as p95_latency_ms from calls),
first_token as (select percentile_cont(0.95) within group (order by ttft_ms) as p95_ttft_ms from calls where ttft_ms is not null),
sums as (
    select
        sum(cost_usd) as spend,
        count(*) as calls,
        sum(case when status = 'error' then 1 else 0 end) as failed_calls,
        sum(case when cost_usd is null and coalesce(cost_status, '') <> '' then 1 else 0 end) as unpriced_calls,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_read_tokens) as cache_read_tokens
    from calls
)
select spend, calls, failed_calls, unpriced_calls, input_tokens, output_tokens, cache_read_tokens, requests, p95_latency_ms, p95_ttft_ms
from sums cross join served cross join latency cross join first_token
