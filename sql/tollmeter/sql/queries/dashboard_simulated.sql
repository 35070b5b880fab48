-- name: dashboard_simulated
-- purpose: which fields of a period's calls were simulated, as their tag tollmeter.simulated says
-- param start timestamp = -30d: first moment, UTC
-- param end timestamp = now: first moment after, UTC
-- param models text = '': models separated by |; empty means all
-- column simulated varchar: the tag as written
-- column calls bigint: calls that carry it
select regexp_substr(tags, '"tollmeter[.]simulated": ?"[^"]*"') as simulated, count(*) as calls
from llm_calls
where event_date >= cast(:start as date)
  and event_date <= cast(:end as date)
  and "timestamp" >= :start
  and "timestamp" < :end
  and (:models = '' or strpos('|' || :models || '|', '|' || coalesce(nullif(response_model, ''), nullif(request_model, ''), '(unknown)') || '|') > 0)
  and tags like '%tollmeter.simulated%'
group by 1
order by 1
