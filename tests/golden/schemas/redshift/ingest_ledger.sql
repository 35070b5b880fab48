CREATE TABLE IF NOT EXISTS "tollmeter_native"."ingest_ledger" (
  "object_key" VARCHAR(16384) NOT NULL,
  "sha256" VARCHAR(16384) NOT NULL,
  "objects" BIGINT,
  "watermark" TIMESTAMP,
  "lines" BIGINT NOT NULL,
  "landed" BIGINT NOT NULL,
  "duplicates" BIGINT NOT NULL,
  "quarantined" BIGINT NOT NULL,
  "forgotten" BIGINT,
  "ingested_at" TIMESTAMP NOT NULL,
  "batch_id" VARCHAR(16384) NOT NULL
)
DISTSTYLE AUTO
COMPOUND SORTKEY ("ingested_at")
