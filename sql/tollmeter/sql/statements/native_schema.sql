-- name: native_schema
-- purpose: schema of native tables
-- value native_schema identifier: the schema
CREATE SCHEMA IF NOT EXISTS {native_schema}
