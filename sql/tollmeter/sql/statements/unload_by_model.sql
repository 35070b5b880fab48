-- name: unload_by_model
-- purpose: calls of some days as Parquet in S3, one folder for each model; what stands at the address is replaced
-- value schema identifier: schema of the views
-- value since day: first day
-- value until day: day after the last
-- value url s3_url: where to, such as s3://ai-platform-exports/requests/
-- value iam_role iam_role: role that writes there
UNLOAD (
  'SELECT * FROM {schema}.llm_requests
   WHERE created_at >= '{since}' AND created_at < '{until}'
     AND event_date >= '{since}' AND event_date < '{until}''
)
TO {url}
IAM_ROLE {iam_role}
FORMAT AS PARQUET
PARTITION BY (model) INCLUDE
CLEANPATH
