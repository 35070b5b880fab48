-- name: quarantine_examples
-- purpose: the newest quarantined lines of each reason, as they were read
-- param since timestamp = -30d: lines ingested from then on
-- param until timestamp = now: lines ingested before then
-- param each int = 3: lines of each reason
-- param length int = 2000: characters of a line
-- column reason varchar: class of the fault
-- column detail varchar: what was found and what was expected
-- column object_key varchar: raw object it stands in
-- column line_number bigint: line in the object, from 1
-- column ingested_at timestamp: when it was read, UTC
-- column raw_text varchar: the line, cut
-- column characters bigint: how long it is
WITH ranked AS (
  SELECT
    reason,
    COALESCE(detail, '') AS detail,
    object_key,
    line_number,
    ingested_at,
    COALESCE(raw_text, '') AS raw_text,
    ROW_NUMBER() OVER (PARTITION BY reason ORDER BY ingested_at DESC, object_key, line_number) AS place
  FROM quarantine
  WHERE ingested_at >= CAST(:since AS TIMESTAMP)
    AND ingested_at < CAST(:until AS TIMESTAMP)
    AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)
)
SELECT
  reason,
  detail,
  object_key,
  line_number,
  ingested_at,
  SUBSTRING(raw_text, 1, CAST(:length AS INTEGER)) AS raw_text,
  CAST(LENGTH(raw_text) AS BIGINT) AS characters
FROM ranked
WHERE place <= CAST(:each AS BIGINT)
ORDER BY reason, place
