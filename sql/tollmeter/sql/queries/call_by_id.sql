-- name: call_by_id
-- purpose: everything the lake holds of one model call
-- param call text: id of the call
-- param since date = -7d: first day (UTC) it may be of
-- param until date = now: last day (UTC) it may be of
-- column event_id varchar: UUIDv7 of the event; UUIDv5 of source and source id where imported
-- column schema_version bigint: version of this schema that the writer spoke
-- column timestamp timestamp: when the request, call or run began
-- column event_date date: day of timestamp; the partition
-- column service varchar: name of the service that wrote the event
-- column environment varchar: deployment environment, such as production
-- column version varchar: version of the service
-- column region varchar: cloud region the service runs in
-- column account_id varchar: cloud account the service runs in
-- column instance varchar: one process of the service
-- column losses varchar: events this process lost since its last event, by reason
-- column request_id varchar: X-Request-ID, taken or made
-- column trace_id varchar: W3C trace id, 32 hex digits
-- column span_id varchar: W3C span id, 16 hex digits
-- column parent_span_id varchar: span id of the parent
-- column user_id varchar: end user
-- column tenant_id varchar: customer of a multi-tenant service
-- column team varchar: team that pays
-- column feature varchar: product feature
-- column session_id varchar: conversation or agent run
-- column prompt_name varchar: name in the prompt registry
-- column prompt_version varchar: version in the prompt registry
-- column experiment varchar: experiment name
-- column variant varchar: variant of the experiment
-- column tags varchar: free tags, text to text
-- column route varchar: route template of the request, such as /chat/{id}
-- column ttfb_ms double: until the first byte of the body
-- column provider varchar: gen_ai.provider.name
-- column operation varchar: gen_ai.operation.name: chat, text_completion, embeddings, …
-- column request_model varchar: model asked for
-- column response_model varchar: model that answered
-- column resource_id varchar: deployment or inference profile
-- column provider_request_id varchar: the provider's id of the request
-- column credential_ref varchar: keyed hash of the credential, never the credential
-- column caller_principal varchar: IAM role that called, where known: it joins the bill
-- column service_tier varchar: tier that served the call: default, batch, flex, priority
-- column inference_region varchar: region or geography of the inference
-- column stream boolean: the answer was streamed
-- column status varchar: ok, error or partial
-- column error_type varchar: class or code of the error; empty when there was none
-- column http_status bigint: HTTP status the provider answered
-- column finish_reason varchar: why the model stopped
-- column max_tokens bigint: limit asked for
-- column attempt bigint: 1 for the first try; null where the client did not say
-- column fallback_from varchar: model this call stands in for, where the caller or a LiteLLM proxy said so
-- column cache_hit boolean: answered from the service's own (semantic) cache: cost and tokens are 0
-- column ratelimit_limit_requests bigint: limit the provider reported
-- column ratelimit_remaining_requests bigint: what was left of it
-- column ratelimit_limit_tokens bigint: limit the provider reported
-- column ratelimit_remaining_tokens bigint: what was left of it
-- column input_content varchar: redacted messages asked, JSON of the OTel GenAI schema; empty unless capture_content says input or all
-- column output_content varchar: redacted messages answered, likewise; empty unless it says output or all
-- column input_tokens bigint: all input, cache and audio and image included
-- column output_tokens bigint: all output, reasoning included
-- column cache_read_tokens bigint: part of input_tokens read from the provider's cache
-- column cache_write_tokens bigint: part of input_tokens written to the provider's cache
-- column cache_write_1h_tokens bigint: part of cache_write_tokens kept for an hour
-- column reasoning_tokens bigint: part of output_tokens spent on reasoning
-- column input_audio_tokens bigint: part of input_tokens that is audio
-- column output_audio_tokens bigint: part of output_tokens that is audio
-- column input_image_tokens bigint: part of input_tokens that is images
-- column output_image_tokens bigint: part of output_tokens that is images
-- column server_tool_calls varchar: tools the provider ran, such as web searches
-- column usage_source varchar: reported, estimated or missing
-- column usage_method varchar: how estimated usage was made
-- column raw_usage varchar: usage as the provider sent it, JSON cut at 4,096 characters; kept where it contradicts itself or is not understood
-- column latency_ms double: from sending the call to the end of the answer; null where an import does not know it
-- column ttft_ms double: until the first content, reasoning or tool-call delta
-- column output_tokens_per_s double: output tokens over the time after the first
-- column cost_usd decimal(18,12): cost of the call; null where unknown, never 0 for unknown
-- column input_cost_usd decimal(18,12): of uncached input
-- column output_cost_usd decimal(18,12): of output
-- column cache_read_cost_usd decimal(18,12): of cache reads
-- column cache_write_cost_usd decimal(18,12): of cache writes
-- column fees_usd decimal(18,12): per-use fees, such as web searches
-- column cost_status varchar: priced, estimated, partial, unpriced or inconsistent
-- column price_ref varchar: price row used, and valid from when
-- column cache_savings_usd decimal(18,12): what the provider's cache reads would have cost more; of a cache_hit, what the call would have cost
-- column extra varchar: fields of the line that this version does not know
-- column ingested_at timestamp: when the row was landed
-- column batch_id varchar: the ETL batch that landed the row
SELECT
  event_id,
  schema_version,
  "timestamp",
  event_date,
  service,
  environment,
  version,
  region,
  account_id,
  instance,
  losses,
  request_id,
  trace_id,
  span_id,
  parent_span_id,
  user_id,
  tenant_id,
  team,
  feature,
  session_id,
  prompt_name,
  prompt_version,
  experiment,
  variant,
  tags,
  route,
  ttfb_ms,
  provider,
  operation,
  request_model,
  response_model,
  resource_id,
  provider_request_id,
  credential_ref,
  caller_principal,
  service_tier,
  inference_region,
  stream,
  status,
  error_type,
  http_status,
  finish_reason,
  max_tokens,
  attempt,
  fallback_from,
  cache_hit,
  ratelimit_limit_requests,
  ratelimit_remaining_requests,
  ratelimit_limit_tokens,
  ratelimit_remaining_tokens,
  input_content,
  output_content,
  input_tokens,
  output_tokens,
  cache_read_tokens,
  cache_write_tokens,
  cache_write_1h_tokens,
  reasoning_tokens,
  input_audio_tokens,
  output_audio_tokens,
  input_image_tokens,
  output_image_tokens,
  server_tool_calls,
  usage_source,
  usage_method,
  raw_usage,
  latency_ms,
  ttft_ms,
  output_tokens_per_s,
  cost_usd,
  input_cost_usd,
  output_cost_usd,
  cache_read_cost_usd,
  cache_write_cost_usd,
  fees_usd,
  cost_status,
  price_ref,
  cache_savings_usd,
  extra,
  ingested_at,
  batch_id
FROM llm_calls
WHERE event_id = CAST(:call AS VARCHAR)
  AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
