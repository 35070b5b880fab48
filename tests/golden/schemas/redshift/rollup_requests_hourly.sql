CREATE TABLE IF NOT EXISTS "tollmeter_native"."rollup_requests_hourly" (
  "event_date" DATE NOT NULL,
  "hour" TIMESTAMP NOT NULL,
  "service" VARCHAR(16384) NOT NULL,
  "environment" VARCHAR(16384),
  "route" VARCHAR(16384),
  "status_class" VARCHAR(16384),
  "error_type" VARCHAR(16384),
  "requests" BIGINT NOT NULL,
  "errors" BIGINT NOT NULL,
  "failures" BIGINT NOT NULL,
  "client_disconnects" BIGINT NOT NULL,
  "response_bytes" BIGINT NOT NULL
)
DISTSTYLE AUTO
COMPOUND SORTKEY ("event_date", "hour")
