-- name: load_native
-- purpose: some days of the lake into a native table, instead of what it held of them
-- value native_schema identifier: schema of native tables
-- value table identifier: a table of the lake that has event_date
-- value schema identifier: schema of the views
-- value since day: first day
-- value until day: day after the last
DELETE FROM {native_schema}.{table} WHERE event_date >= {since} AND event_date < {until};
INSERT INTO {native_schema}.{table}
SELECT * FROM {schema}.{table} WHERE event_date >= {since} AND event_date < {until}
