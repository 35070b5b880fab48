CREATE TABLE IF NOT EXISTS "tollmeter_native"."commitment_hours" (
  "event_date" DATE NOT NULL,
  "hour" TIMESTAMP NOT NULL,
  "commitment" VARCHAR(16384) NOT NULL,
  "provider" VARCHAR(16384),
  "resource_id" VARCHAR(16384) NOT NULL,
  "model" VARCHAR(16384),
  "calls" BIGINT NOT NULL,
  "input_tokens" BIGINT NOT NULL,
  "output_tokens" BIGINT NOT NULL,
  "capacity_tokens" BIGINT,
  "used_share" DOUBLE PRECISION,
  "idle_share" DOUBLE PRECISION,
  "cost_usd" DECIMAL(38,12),
  "idle_cost_usd" DECIMAL(38,12)
)
DISTSTYLE AUTO
COMPOUND SORTKEY ("event_date", "hour")
