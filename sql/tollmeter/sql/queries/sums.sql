-- name: sums
-- purpose: calls, errors, tokens and money of a span by bucket of time and by one dimension, under any filters
-- param since timestamp: calls from then on
-- param until timestamp: calls before then
-- param source hours|days|spend|sessions|rows = rows: the rollup of whole hours or days that has the dimensions asked; else rows
-- param since_whole timestamp = 2200-01-01: start of the first whole hour or day; rows are read before it
-- param until_whole timestamp = 2200-01-01: end of the last whole hour or day; rows are read from then on
-- param since_day date = 2200-01-01: of the sources by day the first whole day of the reporting time zone
-- param until_day date = 2200-01-01: of the sources by day the day after the last whole one
-- param rows read|skipped = read: skipped where the span is whole hours or days
-- param requests counted|skipped = counted: skipped where what is asked of calls is not known of requests
-- param bucket all|minute|hour|day|month = day: width of a bucket
-- param zone text = UTC: time zone in which days and months begin, an IANA name
-- param hours_begin 0|15|30|45 = 0: minute of UTC at which the zone's hours begin
-- param by none|model|request_model|provider|service|environment|version|region|route|tenant|team|feature|user|session|prompt|prompt_version|experiment|variant|status|error_type|stream = model: dimension
-- param top int = 50: values of it that have rows of their own; the rest are one row, whose name is null
-- param rank cost|calls|tokens|errors|requests = cost: what the values are ranked by
-- param search text = '': part of the values' names, in any case; empty means all
-- param model text = '': values, each with U+001F before it and after the last; empty means all; so all that follow
-- param request_model text = '': values
-- param provider text = '': values
-- param service text = '': values
-- param environment text = '': values
-- param version text = '': values
-- param region text = '': values
-- param route text = '': values
-- param tenant text = '': values
-- param team text = '': values
-- param feature text = '': values
-- param user text = '': values
-- param session text = '': values
-- param prompt text = '': values
-- param prompt_version text = '': values
-- param experiment text = '': values
-- param variant text = '': values
-- param status text = '': values
-- param error_type text = '': values
-- param stream text = '': values
-- column bucket timestamp: start of the bucket: UTC; of days and months as the zone's clocks show it
-- column name varchar: value of the dimension; empty where calls have none, null for all values beyond the top
-- column place bigint: rank of the value, from 1
-- column values_found bigint: how many values there are, the empty one left out
-- column calls bigint: model calls
-- column requests bigint: requests served
-- column errors bigint: failed calls
-- column partial_calls bigint: abandoned streams
-- column throttles bigint: calls answered with 429
-- column retries bigint: calls that were not the first try
-- column fallbacks bigint: calls standing in for another model
-- column cache_hits bigint: calls answered from the service's own cache
-- column unpriced_calls bigint: calls whose cost is unknown
-- column estimated_calls bigint: calls whose usage was estimated
-- column missing_usage_calls bigint: calls whose usage is not known
-- column inconsistent_calls bigint: calls whose usage contradicts itself
-- column request_errors bigint: requests answered with 5xx
-- column failed_requests bigint: requests of any kind that failed
-- column client_disconnects bigint: clients that left early
-- column input_tokens bigint: input tokens, cached ones included
-- column output_tokens bigint: output tokens, reasoning included
-- column cache_read_tokens bigint: part of input_tokens read from the provider's cache
-- column cache_write_tokens bigint: part of input_tokens written to it
-- column cache_write_1h_tokens bigint: part of cache_write_tokens kept for an hour
-- column reasoning_tokens bigint: part of output_tokens spent on reasoning
-- column input_audio_tokens bigint: part of input_tokens that is audio
-- column output_audio_tokens bigint: part of output_tokens that is audio
-- column input_image_tokens bigint: part of input_tokens that is images
-- column output_image_tokens bigint: part of output_tokens that is images
-- column cost_usd decimal(38,12): sum over calls with a known cost; null where none has one
-- column input_cost_usd decimal(38,12): of uncached input
-- column output_cost_usd decimal(38,12): of output
-- column cache_read_cost_usd decimal(38,12): of cache reads
-- column cache_write_cost_usd decimal(38,12): of cache writes
-- column fees_usd decimal(38,12): per-use fees
-- column cache_savings_usd decimal(38,12): what caches saved
-- column ratelimit_used_requests double: largest share of the provider's limit on requests that was used up; null where no call told
-- column ratelimit_used_tokens double: the same of the limit on tokens

-- Of a span whole hours or days come from a rollup, what lies before and after them from rows; the branches that are
-- not asked for are constant false.
WITH parts AS (
  SELECT
    hour AS moment, CAST(NULL AS DATE) AS "day", model, CAST(NULL AS VARCHAR) AS request_model, provider, service,
    environment, CAST(NULL AS VARCHAR) AS version, CAST(NULL AS VARCHAR) AS region, route,
    CAST(NULL AS VARCHAR) AS tenant_id, CAST(NULL AS VARCHAR) AS team, CAST(NULL AS VARCHAR) AS feature,
    CAST(NULL AS VARCHAR) AS user_id, CAST(NULL AS VARCHAR) AS session_id, CAST(NULL AS VARCHAR) AS prompt_name,
    CAST(NULL AS VARCHAR) AS prompt_version, CAST(NULL AS VARCHAR) AS experiment, CAST(NULL AS VARCHAR) AS variant,
    status, error_type, CAST(NULL AS VARCHAR) AS stream, calls, CAST(0 AS BIGINT) AS requests, errors,
    partial_calls, throttles, retries, fallbacks, cache_hits, unpriced_calls, estimated_calls, missing_usage_calls,
    inconsistent_calls, CAST(0 AS BIGINT) AS request_errors, CAST(0 AS BIGINT) AS failed_requests,
    CAST(0 AS BIGINT) AS client_disconnects, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    cache_write_1h_tokens, reasoning_tokens, input_audio_tokens, output_audio_tokens, input_image_tokens,
    output_image_tokens, cost_usd, input_cost_usd, output_cost_usd, cache_read_cost_usd, cache_write_cost_usd,
    fees_usd, cache_savings_usd, ratelimit_used_requests, ratelimit_used_tokens
  FROM rollup_calls_hourly
  WHERE CAST(:source AS VARCHAR) = 'hours'
    AND hour >= CAST(:since_whole AS TIMESTAMP)
    AND hour < CAST(:until_whole AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since_whole AS DATE) AND CAST(:until_whole AS DATE)
  UNION ALL
  SELECT
    hour, NULL, NULL, NULL, NULL, service, environment, NULL, NULL, route, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, 0, requests, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, errors, failures,
    client_disconnects, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  FROM rollup_requests_hourly
  WHERE CAST(:source AS VARCHAR) = 'hours'
    AND CAST(:requests AS VARCHAR) = 'counted'
    AND hour >= CAST(:since_whole AS TIMESTAMP)
    AND hour < CAST(:until_whole AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since_whole AS DATE) AND CAST(:until_whole AS DATE)
  UNION ALL
  SELECT
    CAST(NULL AS TIMESTAMP), "day", model, NULL, provider, service, environment, NULL, NULL, route, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, status, error_type, NULL, calls, requests, errors, partial_calls,
    throttles, retries, fallbacks, cache_hits, unpriced_calls, estimated_calls, missing_usage_calls,
    inconsistent_calls, request_errors, failed_requests, client_disconnects, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    cache_write_1h_tokens, reasoning_tokens, input_audio_tokens, output_audio_tokens, input_image_tokens,
    output_image_tokens, cost_usd, input_cost_usd, output_cost_usd, cache_read_cost_usd, cache_write_cost_usd,
    fees_usd, cache_savings_usd, ratelimit_used_requests, ratelimit_used_tokens
  FROM rollup_calls_daily
  WHERE CAST(:source AS VARCHAR) = 'days'
    AND "day" >= CAST(:since_day AS DATE)
    AND "day" < CAST(:until_day AS DATE)
    AND event_date BETWEEN CAST(:since_day AS DATE) - 1 AND CAST(:until_day AS DATE)
  UNION ALL
  SELECT
    CAST(NULL AS TIMESTAMP), "day", model, NULL, provider, service, environment, NULL, NULL, NULL, tenant_id, team, feature, NULL,
    NULL, prompt_name, prompt_version, NULL, NULL, NULL, NULL, NULL, calls, requests, errors, partial_calls,
    throttles, retries, fallbacks, cache_hits, unpriced_calls, estimated_calls, missing_usage_calls,
    inconsistent_calls, 0, 0, 0, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    cache_write_1h_tokens, reasoning_tokens, input_audio_tokens, output_audio_tokens, input_image_tokens,
    output_image_tokens, cost_usd, input_cost_usd, output_cost_usd, cache_read_cost_usd, cache_write_cost_usd,
    fees_usd, cache_savings_usd, NULL, NULL
  FROM rollup_spend_daily
  WHERE CAST(:source AS VARCHAR) = 'spend'
    AND "day" >= CAST(:since_day AS DATE)
    AND "day" < CAST(:until_day AS DATE)
    AND event_date BETWEEN CAST(:since_day AS DATE) - 1 AND CAST(:until_day AS DATE)
  UNION ALL
  SELECT
    CAST(NULL AS TIMESTAMP), "day", model, NULL, provider, service, environment, NULL, NULL, NULL, tenant_id, team, NULL, user_id,
    session_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, calls, requests, errors, 0, 0, 0, 0, 0, unpriced_calls,
    0, 0, 0, 0, 0, 0, input_tokens, output_tokens, cache_read_tokens, 0, 0, 0, 0, 0, 0, 0, cost_usd, NULL, NULL,
    NULL, NULL, NULL, cache_savings_usd, NULL, NULL
  FROM rollup_sessions_daily
  WHERE CAST(:source AS VARCHAR) = 'sessions'
    AND "day" >= CAST(:since_day AS DATE)
    AND "day" < CAST(:until_day AS DATE)
    AND event_date BETWEEN CAST(:since_day AS DATE) - 1 AND CAST(:until_day AS DATE)
  UNION ALL
  SELECT
    "timestamp", NULL, COALESCE(NULLIF(response_model, ''), NULLIF(request_model, ''), '(unknown)'),
    COALESCE(request_model, ''), COALESCE(provider, ''), service, COALESCE(environment, ''), COALESCE(version, ''),
    COALESCE(region, ''), COALESCE(route, ''), COALESCE(tenant_id, ''), COALESCE(team, ''), COALESCE(feature, ''),
    COALESCE(user_id, ''), COALESCE(session_id, ''), COALESCE(prompt_name, ''), COALESCE(prompt_version, ''),
    COALESCE(experiment, ''), COALESCE(variant, ''), COALESCE(status, ''), COALESCE(error_type, ''),
    CASE WHEN stream THEN 'true' WHEN NOT stream THEN 'false' ELSE '' END, 1, 0,
    CASE WHEN status = 'error' THEN 1 ELSE 0 END, CASE WHEN status = 'partial' THEN 1 ELSE 0 END,
    CASE WHEN http_status = 429 THEN 1 ELSE 0 END, CASE WHEN attempt > 1 THEN 1 ELSE 0 END,
    CASE WHEN fallback_from <> '' THEN 1 ELSE 0 END, CASE WHEN cache_hit THEN 1 ELSE 0 END,
    CASE WHEN cost_usd IS NULL THEN 1 ELSE 0 END, CASE WHEN usage_source = 'estimated' THEN 1 ELSE 0 END,
    CASE WHEN usage_source = 'missing' THEN 1 ELSE 0 END, CASE WHEN cost_status = 'inconsistent' THEN 1 ELSE 0 END,
    0, 0, 0, COALESCE(input_tokens, 0), COALESCE(output_tokens, 0), COALESCE(cache_read_tokens, 0),
    COALESCE(cache_write_tokens, 0), COALESCE(cache_write_1h_tokens, 0), COALESCE(reasoning_tokens, 0),
    COALESCE(input_audio_tokens, 0), COALESCE(output_audio_tokens, 0), COALESCE(input_image_tokens, 0),
    COALESCE(output_image_tokens, 0), cost_usd, input_cost_usd, output_cost_usd, cache_read_cost_usd,
    cache_write_cost_usd, fees_usd, cache_savings_usd,
    1 - CAST(ratelimit_remaining_requests AS DOUBLE PRECISION) / NULLIF(ratelimit_limit_requests, 0),
    1 - CAST(ratelimit_remaining_tokens AS DOUBLE PRECISION) / NULLIF(ratelimit_limit_tokens, 0)
  FROM llm_calls
  WHERE CAST(:rows AS VARCHAR) = 'read'
    AND (
      (
        "timestamp" >= CAST(:since AS TIMESTAMP) AND "timestamp" < CAST(:since_whole AS TIMESTAMP)
        AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:since_whole AS DATE)
      ) OR (
        "timestamp" >= CAST(:until_whole AS TIMESTAMP) AND "timestamp" < CAST(:until AS TIMESTAMP)
        AND event_date BETWEEN CAST(:until_whole AS DATE) AND CAST(:until AS DATE)
      )
    )
  UNION ALL
  SELECT
    "timestamp", NULL, NULL, NULL, NULL, service, COALESCE(environment, ''), COALESCE(version, ''),
    COALESCE(region, ''), COALESCE(route, ''), COALESCE(tenant_id, ''), COALESCE(team, ''), COALESCE(feature, ''),
    COALESCE(user_id, ''), COALESCE(session_id, ''), COALESCE(prompt_name, ''), COALESCE(prompt_version, ''),
    COALESCE(experiment, ''), COALESCE(variant, ''), NULL, NULL, NULL, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    CASE WHEN status_code >= 500 THEN 1 ELSE 0 END, CASE WHEN error_type <> '' THEN 1 ELSE 0 END,
    CASE WHEN client_disconnected THEN 1 ELSE 0 END, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL
  FROM requests
  WHERE CAST(:rows AS VARCHAR) = 'read'
    AND CAST(:requests AS VARCHAR) = 'counted'
    AND (
      (
        "timestamp" >= CAST(:since AS TIMESTAMP) AND "timestamp" < CAST(:since_whole AS TIMESTAMP)
        AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:since_whole AS DATE)
      ) OR (
        "timestamp" >= CAST(:until_whole AS TIMESTAMP) AND "timestamp" < CAST(:until AS TIMESTAMP)
        AND event_date BETWEEN CAST(:until_whole AS DATE) AND CAST(:until AS DATE)
      )
    )
),
named AS (
  SELECT
    CASE
      WHEN CAST(:bucket AS VARCHAR) = 'all' THEN CAST(:since AS TIMESTAMP)
      WHEN CAST(:bucket AS VARCHAR) = 'minute' THEN DATE_TRUNC('minute', moment)
      WHEN CAST(:hours_begin AS VARCHAR) = '15' THEN DATE_TRUNC('hour', moment - INTERVAL '15 minutes') + INTERVAL '15 minutes'
      WHEN CAST(:hours_begin AS VARCHAR) = '30' THEN DATE_TRUNC('hour', moment - INTERVAL '30 minutes') + INTERVAL '30 minutes'
      WHEN CAST(:hours_begin AS VARCHAR) = '45' THEN DATE_TRUNC('hour', moment - INTERVAL '45 minutes') + INTERVAL '45 minutes'
      ELSE DATE_TRUNC('hour', moment)
    END AS slot,
    CASE WHEN CAST(:bucket AS VARCHAR) <> 'all' THEN "day" END AS "day",
    CASE CAST(:by AS VARCHAR)
      WHEN 'model' THEN model
      WHEN 'request_model' THEN request_model
      WHEN 'provider' THEN provider
      WHEN 'service' THEN service
      WHEN 'environment' THEN environment
      WHEN 'version' THEN version
      WHEN 'region' THEN region
      WHEN 'route' THEN route
      WHEN 'tenant' THEN tenant_id
      WHEN 'team' THEN team
      WHEN 'feature' THEN feature
      WHEN 'user' THEN user_id
      WHEN 'session' THEN session_id
      WHEN 'prompt' THEN prompt_name
      WHEN 'prompt_version' THEN prompt_version
      WHEN 'experiment' THEN experiment
      WHEN 'variant' THEN variant
      WHEN 'status' THEN status
      WHEN 'error_type' THEN error_type
      WHEN 'stream' THEN stream
      ELSE ''
    END AS name,
    calls, requests, errors, partial_calls, throttles, retries, fallbacks, cache_hits, unpriced_calls,
    estimated_calls, missing_usage_calls, inconsistent_calls, request_errors, failed_requests, client_disconnects,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
    input_audio_tokens, output_audio_tokens, input_image_tokens, output_image_tokens, cost_usd, input_cost_usd,
    output_cost_usd, cache_read_cost_usd, cache_write_cost_usd, fees_usd, cache_savings_usd,
    ratelimit_used_requests, ratelimit_used_tokens
  FROM parts
  WHERE (CAST(:model AS VARCHAR) = '' OR STRPOS(CAST(:model AS VARCHAR), CHR(31) || model || CHR(31)) > 0)
    AND (CAST(:request_model AS VARCHAR) = '' OR STRPOS(CAST(:request_model AS VARCHAR), CHR(31) || request_model || CHR(31)) > 0)
    AND (CAST(:provider AS VARCHAR) = '' OR STRPOS(CAST(:provider AS VARCHAR), CHR(31) || provider || CHR(31)) > 0)
    AND (CAST(:service AS VARCHAR) = '' OR STRPOS(CAST(:service AS VARCHAR), CHR(31) || service || CHR(31)) > 0)
    AND (CAST(:environment AS VARCHAR) = '' OR STRPOS(CAST(:environment AS VARCHAR), CHR(31) || environment || CHR(31)) > 0)
    AND (CAST(:version AS VARCHAR) = '' OR STRPOS(CAST(:version AS VARCHAR), CHR(31) || version || CHR(31)) > 0)
    AND (CAST(:region AS VARCHAR) = '' OR STRPOS(CAST(:region AS VARCHAR), CHR(31) || region || CHR(31)) > 0)
    AND (CAST(:route AS VARCHAR) = '' OR STRPOS(CAST(:route AS VARCHAR), CHR(31) || route || CHR(31)) > 0)
    AND (CAST(:tenant AS VARCHAR) = '' OR STRPOS(CAST(:tenant AS VARCHAR), CHR(31) || tenant_id || CHR(31)) > 0)
    AND (CAST(:team AS VARCHAR) = '' OR STRPOS(CAST(:team AS VARCHAR), CHR(31) || team || CHR(31)) > 0)
    AND (CAST(:feature AS VARCHAR) = '' OR STRPOS(CAST(:feature AS VARCHAR), CHR(31) || feature || CHR(31)) > 0)
    AND (CAST(:user AS VARCHAR) = '' OR STRPOS(CAST(:user AS VARCHAR), CHR(31) || user_id || CHR(31)) > 0)
    AND (CAST(:session AS VARCHAR) = '' OR STRPOS(CAST(:session AS VARCHAR), CHR(31) || session_id || CHR(31)) > 0)
    AND (CAST(:prompt AS VARCHAR) = '' OR STRPOS(CAST(:prompt AS VARCHAR), CHR(31) || prompt_name || CHR(31)) > 0)
    AND (CAST(:prompt_version AS VARCHAR) = '' OR STRPOS(CAST(:prompt_version AS VARCHAR), CHR(31) || prompt_version || CHR(31)) > 0)
    AND (CAST(:experiment AS VARCHAR) = '' OR STRPOS(CAST(:experiment AS VARCHAR), CHR(31) || experiment || CHR(31)) > 0)
    AND (CAST(:variant AS VARCHAR) = '' OR STRPOS(CAST(:variant AS VARCHAR), CHR(31) || variant || CHR(31)) > 0)
    AND (CAST(:status AS VARCHAR) = '' OR STRPOS(CAST(:status AS VARCHAR), CHR(31) || status || CHR(31)) > 0)
    AND (CAST(:error_type AS VARCHAR) = '' OR STRPOS(CAST(:error_type AS VARCHAR), CHR(31) || error_type || CHR(31)) > 0)
    AND (CAST(:stream AS VARCHAR) = '' OR STRPOS(CAST(:stream AS VARCHAR), CHR(31) || stream || CHR(31)) > 0)
),
grouped AS (
  SELECT slot, "day", name,
    SUM(calls) AS calls, SUM(requests) AS requests, SUM(errors) AS errors, SUM(partial_calls) AS partial_calls,
    SUM(throttles) AS throttles, SUM(retries) AS retries, SUM(fallbacks) AS fallbacks,
    SUM(cache_hits) AS cache_hits, SUM(unpriced_calls) AS unpriced_calls, SUM(estimated_calls) AS estimated_calls,
    SUM(missing_usage_calls) AS missing_usage_calls, SUM(inconsistent_calls) AS inconsistent_calls,
    SUM(request_errors) AS request_errors, SUM(failed_requests) AS failed_requests,
    SUM(client_disconnects) AS client_disconnects, SUM(input_tokens) AS input_tokens,
    SUM(output_tokens) AS output_tokens, SUM(cache_read_tokens) AS cache_read_tokens,
    SUM(cache_write_tokens) AS cache_write_tokens, SUM(cache_write_1h_tokens) AS cache_write_1h_tokens,
    SUM(reasoning_tokens) AS reasoning_tokens, SUM(input_audio_tokens) AS input_audio_tokens,
    SUM(output_audio_tokens) AS output_audio_tokens, SUM(input_image_tokens) AS input_image_tokens,
    SUM(output_image_tokens) AS output_image_tokens, SUM(cost_usd) AS cost_usd,
    SUM(input_cost_usd) AS input_cost_usd, SUM(output_cost_usd) AS output_cost_usd,
    SUM(cache_read_cost_usd) AS cache_read_cost_usd, SUM(cache_write_cost_usd) AS cache_write_cost_usd,
    SUM(fees_usd) AS fees_usd, SUM(cache_savings_usd) AS cache_savings_usd,
    MAX(ratelimit_used_requests) AS ratelimit_used_requests, MAX(ratelimit_used_tokens) AS ratelimit_used_tokens
  FROM named
  WHERE name IS NOT NULL
    AND (CAST(:search AS VARCHAR) = '' OR STRPOS(LOWER(name), LOWER(CAST(:search AS VARCHAR))) > 0)
  GROUP BY slot, "day", name
),
weighed AS (
  SELECT
    name,
    SUM(
      CASE CAST(:rank AS VARCHAR)
        WHEN 'calls' THEN CAST(calls AS DECIMAL(38, 12))
        WHEN 'tokens' THEN CAST(input_tokens + output_tokens AS DECIMAL(38, 12))
        WHEN 'errors' THEN CAST(errors AS DECIMAL(38, 12))
        WHEN 'requests' THEN CAST(requests AS DECIMAL(38, 12))
        ELSE COALESCE(cost_usd, 0)
      END
    ) AS weight
  FROM grouped
  GROUP BY name
),
ranked AS (
  SELECT
    name,
    ROW_NUMBER() OVER (ORDER BY weight DESC, name) AS place,
    COUNT(NULLIF(name, '')) OVER () AS values_found
  FROM weighed
),
placed AS (
  SELECT
    CASE
      WHEN CAST(:bucket AS VARCHAR) IN ('all', 'minute', 'hour') THEN slot
      WHEN CAST(:bucket AS VARCHAR) = 'day' THEN DATE_TRUNC('day', COALESCE(CAST("day" AS TIMESTAMP), CONVERT_TIMEZONE('UTC', CAST(:zone AS VARCHAR), slot)))
      ELSE DATE_TRUNC('month', COALESCE(CAST("day" AS TIMESTAMP), CONVERT_TIMEZONE('UTC', CAST(:zone AS VARCHAR), slot)))
    END AS bucket,
    CASE WHEN ranked.place <= CAST(:top AS BIGINT) THEN ranked.place ELSE CAST(:top AS BIGINT) + 1 END AS place,
    CASE WHEN ranked.place <= CAST(:top AS BIGINT) THEN grouped.name END AS name,
    ranked.values_found,
    calls, requests, errors, partial_calls, throttles, retries, fallbacks, cache_hits, unpriced_calls,
    estimated_calls, missing_usage_calls, inconsistent_calls, request_errors, failed_requests, client_disconnects,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
    input_audio_tokens, output_audio_tokens, input_image_tokens, output_image_tokens, cost_usd, input_cost_usd,
    output_cost_usd, cache_read_cost_usd, cache_write_cost_usd, fees_usd, cache_savings_usd,
    ratelimit_used_requests, ratelimit_used_tokens
  FROM grouped JOIN ranked ON ranked.name = grouped.name
)
SELECT
  bucket,
  name,
  place,
  MAX(values_found) AS values_found,
  CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(requests) AS BIGINT) AS requests,
  CAST(SUM(errors) AS BIGINT) AS errors, CAST(SUM(partial_calls) AS BIGINT) AS partial_calls,
  CAST(SUM(throttles) AS BIGINT) AS throttles, CAST(SUM(retries) AS BIGINT) AS retries,
  CAST(SUM(fallbacks) AS BIGINT) AS fallbacks, CAST(SUM(cache_hits) AS BIGINT) AS cache_hits,
  CAST(SUM(unpriced_calls) AS BIGINT) AS unpriced_calls, CAST(SUM(estimated_calls) AS BIGINT) AS estimated_calls,
  CAST(SUM(missing_usage_calls) AS BIGINT) AS missing_usage_calls,
  CAST(SUM(inconsistent_calls) AS BIGINT) AS inconsistent_calls,
  CAST(SUM(request_errors) AS BIGINT) AS request_errors, CAST(SUM(failed_requests) AS BIGINT) AS failed_requests,
  CAST(SUM(client_disconnects) AS BIGINT) AS client_disconnects, CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
  CAST(SUM(output_tokens) AS BIGINT) AS output_tokens, CAST(SUM(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
  CAST(SUM(cache_write_tokens) AS BIGINT) AS cache_write_tokens,
  CAST(SUM(cache_write_1h_tokens) AS BIGINT) AS cache_write_1h_tokens,
  CAST(SUM(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
  CAST(SUM(input_audio_tokens) AS BIGINT) AS input_audio_tokens,
  CAST(SUM(output_audio_tokens) AS BIGINT) AS output_audio_tokens,
  CAST(SUM(input_image_tokens) AS BIGINT) AS input_image_tokens,
  CAST(SUM(output_image_tokens) AS BIGINT) AS output_image_tokens,
  CAST(SUM(cost_usd) AS DECIMAL(38, 12)) AS cost_usd,
  CAST(SUM(input_cost_usd) AS DECIMAL(38, 12)) AS input_cost_usd,
  CAST(SUM(output_cost_usd) AS DECIMAL(38, 12)) AS output_cost_usd,
  CAST(SUM(cache_read_cost_usd) AS DECIMAL(38, 12)) AS cache_read_cost_usd,
  CAST(SUM(cache_write_cost_usd) AS DECIMAL(38, 12)) AS cache_write_cost_usd,
  CAST(SUM(fees_usd) AS DECIMAL(38, 12)) AS fees_usd,
  CAST(SUM(cache_savings_usd) AS DECIMAL(38, 12)) AS cache_savings_usd,
  MAX(ratelimit_used_requests) AS ratelimit_used_requests, MAX(ratelimit_used_tokens) AS ratelimit_used_tokens
FROM placed
GROUP BY bucket, name, place
ORDER BY bucket, place
