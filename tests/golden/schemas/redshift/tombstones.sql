CREATE TABLE IF NOT EXISTS "tollmeter_native"."tombstones" (
  "kind" VARCHAR(16384) NOT NULL,
  "digest" VARCHAR(16384) NOT NULL,
  "ingested_at" TIMESTAMP NOT NULL
)
DISTSTYLE AUTO
COMPOUND SORTKEY ("ingested_at")
