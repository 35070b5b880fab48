CREATE TABLE IF NOT EXISTS "tollmeter_native"."quarantine" (
  "object_key" VARCHAR(16384) NOT NULL,
  "line_number" BIGINT NOT NULL,
  "sha256" VARCHAR(16384) NOT NULL,
  "reason" VARCHAR(16384) NOT NULL,
  "detail" VARCHAR(65535),
  "raw_text" VARCHAR(65535),
  "event_date" DATE NOT NULL,
  "ingested_at" TIMESTAMP NOT NULL,
  "batch_id" VARCHAR(16384) NOT NULL
)
DISTSTYLE AUTO
COMPOUND SORTKEY ("event_date", "ingested_at")
