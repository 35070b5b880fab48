-- name: reader_role
-- purpose: the role of whoever reads the views; made where svv_roles has none of that name
-- value reader_role identifier: the role
CREATE ROLE {reader_role}
