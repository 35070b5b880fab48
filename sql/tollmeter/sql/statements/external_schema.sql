-- name: external_schema
-- purpose: the lake's tables in Redshift, as the Glue catalog has them (Iceberg, read by Spectrum)
-- value external_schema identifier: schema they stand in
-- value glue_database glue_name: database of the Glue catalog
-- value iam_role iam_role: role that reads the catalog and the files
CREATE EXTERNAL SCHEMA IF NOT EXISTS {external_schema}
FROM DATA CATALOG
DATABASE {glue_database}
IAM_ROLE {iam_role}
