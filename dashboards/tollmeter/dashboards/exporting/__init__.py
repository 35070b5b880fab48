"""What is shown, to take away: the calls of a selection as CSV or Parquet."""
