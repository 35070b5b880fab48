"""Questions to the lake, one file per theme: named SQL in, records out."""
