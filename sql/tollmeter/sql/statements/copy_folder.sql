-- name: copy_folder
-- purpose: Parquet files below an address into a native table, each event once, whatever was there before
-- value native_schema identifier: schema of native tables
-- value table identifier: an event table, such as llm_calls
-- value url s3_url: where the files stand, such as s3://ai-platform-data/requests/
-- value iam_role iam_role: role that reads them

-- Columns are taken by their position: the files must be of this version of the schema. Not for the folder of an Iceberg
-- table, where files of older snapshots stand too: there it is copy_manifest.
CREATE TEMP TABLE staged (LIKE {native_schema}.{table});
COPY staged
FROM {url}
IAM_ROLE {iam_role}
FORMAT AS PARQUET;
DELETE FROM {native_schema}.{table} USING staged WHERE staged.event_id = {table}.event_id;
INSERT INTO {native_schema}.{table} SELECT * FROM staged;
DROP TABLE staged
