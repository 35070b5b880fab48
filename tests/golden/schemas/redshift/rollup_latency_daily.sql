CREATE TABLE IF NOT EXISTS "tollmeter_native"."rollup_latency_daily" (
  "event_date" DATE NOT NULL,
  "day" DATE NOT NULL,
  "metric" VARCHAR(16384) NOT NULL,
  "service" VARCHAR(16384) NOT NULL,
  "environment" VARCHAR(16384),
  "route" VARCHAR(16384),
  "provider" VARCHAR(16384),
  "model" VARCHAR(16384),
  "bucket" BIGINT,
  "count" BIGINT NOT NULL
)
DISTSTYLE AUTO
COMPOUND SORTKEY ("event_date")
