CREATE TABLE IF NOT EXISTS "tollmeter_native"."rollup_sessions_daily" (
  "event_date" DATE NOT NULL,
  "day" DATE NOT NULL,
  "service" VARCHAR(16384) NOT NULL,
  "environment" VARCHAR(16384),
  "provider" VARCHAR(16384),
  "model" VARCHAR(16384),
  "tenant_id" VARCHAR(16384),
  "team" VARCHAR(16384),
  "user_id" VARCHAR(16384),
  "session_id" VARCHAR(16384),
  "calls" BIGINT NOT NULL,
  "requests" BIGINT NOT NULL,
  "errors" BIGINT NOT NULL,
  "unpriced_calls" BIGINT NOT NULL,
  "input_tokens" BIGINT NOT NULL,
  "output_tokens" BIGINT NOT NULL,
  "cache_read_tokens" BIGINT NOT NULL,
  "cost_usd" DECIMAL(38,12),
  "cache_savings_usd" DECIMAL(38,12),
  "first_at" TIMESTAMP,
  "last_at" TIMESTAMP
)
DISTSTYLE AUTO
COMPOUND SORTKEY ("event_date")
