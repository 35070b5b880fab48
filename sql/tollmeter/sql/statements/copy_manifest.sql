-- name: copy_manifest
-- purpose: the files of a manifest into a native table, each event once, whatever was there before
-- value native_schema identifier: schema of native tables
-- value table identifier: an event table, such as llm_calls
-- value url s3_url: the manifest that `tollmeter sql manifest` wrote, such as s3://bucket/llm_calls.manifest
-- value iam_role iam_role: role that reads it and them

-- Columns are taken by their position: the files must be of this version of the schema.
CREATE TEMP TABLE staged (LIKE {native_schema}.{table});
COPY staged
FROM {url}
IAM_ROLE {iam_role}
FORMAT AS PARQUET
MANIFEST;
DELETE FROM {native_schema}.{table} USING staged WHERE staged.event_id = {table}.event_id;
INSERT INTO {native_schema}.{table} SELECT * FROM staged;
DROP TABLE staged
