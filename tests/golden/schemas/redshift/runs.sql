CREATE TABLE IF NOT EXISTS "tollmeter_native"."runs" (
  "event_id" VARCHAR(36) NOT NULL,
  "schema_version" BIGINT NOT NULL,
  "timestamp" TIMESTAMP NOT NULL,
  "event_date" DATE NOT NULL,
  "service" VARCHAR(16384) NOT NULL,
  "environment" VARCHAR(16384),
  "version" VARCHAR(16384),
  "region" VARCHAR(16384),
  "account_id" VARCHAR(1024),
  "instance" VARCHAR(1024),
  "losses" VARCHAR(65535),
  "duration_ms" DOUBLE PRECISION,
  "error_type" VARCHAR(16384),
  "component" VARCHAR(16384) NOT NULL,
  "sink" VARCHAR(16384),
  "outcome" VARCHAR(5),
  "counts" VARCHAR(65535),
  "lag_ms" DOUBLE PRECISION,
  "extra" VARCHAR(65535),
  "ingested_at" TIMESTAMP NOT NULL,
  "batch_id" VARCHAR(16384) NOT NULL
)
DISTSTYLE AUTO
COMPOUND SORTKEY ("event_date", "timestamp", "ingested_at")
