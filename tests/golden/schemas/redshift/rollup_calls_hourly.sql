CREATE TABLE IF NOT EXISTS "tollmeter_native"."rollup_calls_hourly" (
  "event_date" DATE NOT NULL,
  "hour" TIMESTAMP NOT NULL,
  "service" VARCHAR(16384) NOT NULL,
  "environment" VARCHAR(16384),
  "route" VARCHAR(16384),
  "provider" VARCHAR(16384),
  "model" VARCHAR(16384),
  "tenant_id" VARCHAR(16384),
  "team" VARCHAR(16384),
  "feature" VARCHAR(16384),
  "status" VARCHAR(7),
  "error_type" VARCHAR(16384),
  "calls" BIGINT NOT NULL,
  "errors" BIGINT NOT NULL,
  "partial_calls" BIGINT NOT NULL,
  "throttles" BIGINT NOT NULL,
  "unpriced_calls" BIGINT NOT NULL,
  "estimated_calls" BIGINT NOT NULL,
  "input_tokens" BIGINT NOT NULL,
  "output_tokens" BIGINT NOT NULL,
  "cache_read_tokens" BIGINT NOT NULL,
  "cache_write_tokens" BIGINT NOT NULL,
  "reasoning_tokens" BIGINT NOT NULL,
  "cost_usd" DECIMAL(38,12),
  "cache_savings_usd" DECIMAL(38,12)
)
DISTSTYLE AUTO
COMPOUND SORTKEY ("event_date", "hour")
