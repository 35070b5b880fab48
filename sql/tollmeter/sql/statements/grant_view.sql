-- name: grant_view
-- purpose: one view, to be read
-- value schema identifier: schema of the view
-- value view identifier: the view
-- value reader_role identifier: the role
GRANT SELECT ON {schema}.{view} TO ROLE {reader_role}
