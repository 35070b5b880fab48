-- name: schemas
-- purpose: schemas of the views: the one that queries read, and the one of raw_requests
-- value schema identifier: schema of the views that queries read
-- value spectrum_schema identifier: schema of raw_requests
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE SCHEMA IF NOT EXISTS {spectrum_schema}
