-- name: raw_requests_by_month
-- purpose: model calls of one month by model, most first, as Spectrum reads them
-- param year int: year
-- param month int: month, 1 to 12
-- column model varchar: model that answered, else the model asked for
-- column requests bigint: model calls

-- The days are the partition, so only they keep Spectrum from reading every file; year and month do the rest.
SELECT model, COUNT(*) AS requests
FROM spectrum_schema.raw_requests
WHERE year = CAST(:year AS INTEGER)
  AND month = CAST(:month AS INTEGER)
  AND event_date >= CAST(
    CAST(CAST(:year AS INTEGER) AS VARCHAR) || '-' || LPAD(CAST(CAST(:month AS INTEGER) AS VARCHAR), 2, '0') || '-01'
    AS DATE
  )
  AND event_date <= CAST(
    CAST(CAST(:year AS INTEGER) AS VARCHAR) || '-' || LPAD(CAST(CAST(:month AS INTEGER) AS VARCHAR), 2, '0') || '-01'
    AS DATE
  ) + 30
GROUP BY 1
ORDER BY requests DESC, model
