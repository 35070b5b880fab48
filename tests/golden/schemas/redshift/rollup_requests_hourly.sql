CREATE TABLE IF NOT EXISTS "tollmeter_native"."rollup_requests_hourly" (
  "event_date" DATE NOT NULL,
  "hour" TIMESTAMP NOT NULL,
  "service" VARCHAR(16384) NOT NULL,
  "environment" VARCHAR(16384),
  "route" VARCHAR(16384),
  "status_class" VARCHAR(16384),
  "errors" BIGINT NOT NULL,
  "requests" BIGINT NOT NULL,
  "client_disconnects" BIGINT NOT NULL
)
DISTSTYLE AUTO
COMPOUND SORTKEY ("event_date", "hour")
