CREATE TABLE IF NOT EXISTS "tollmeter_native"."rollup_metrics_minute" (
  "event_date" DATE NOT NULL,
  "minute" TIMESTAMP NOT NULL,
  "arrived_at" TIMESTAMP NOT NULL,
  "metric" VARCHAR(16384) NOT NULL,
  "service" VARCHAR(16384) NOT NULL,
  "environment" VARCHAR(16384),
  "route" VARCHAR(16384),
  "provider" VARCHAR(16384),
  "model" VARCHAR(16384),
  "request_model" VARCHAR(16384),
  "team" VARCHAR(16384),
  "component" VARCHAR(16384),
  "sink" VARCHAR(16384),
  "bucket" BIGINT,
  "count" BIGINT NOT NULL,
  "value" DECIMAL(38,12)
)
DISTSTYLE AUTO
COMPOUND SORTKEY ("event_date")
