-- name: grants
-- purpose: what a reader needs and no more: the views, the way to them, and temporary tables, which Spectrum works with
-- value reader_role identifier: the role
-- value database identifier: the database
-- value schema identifier: schema of the views that queries read
-- value spectrum_schema identifier: schema of raw_requests
-- value external_schema identifier: schema over the Glue database

-- A view on external tables is read by those alone who may use their schema, and who may use it may read its tables:
-- there is no grant on one of them. Where that is too much, Lake Formation narrows it, or native tables stand in.
GRANT TEMP ON DATABASE {database} TO ROLE {reader_role};
GRANT USAGE ON SCHEMA {schema} TO ROLE {reader_role};
GRANT USAGE ON SCHEMA {spectrum_schema} TO ROLE {reader_role};
GRANT USAGE ON SCHEMA {external_schema} TO ROLE {reader_role}
