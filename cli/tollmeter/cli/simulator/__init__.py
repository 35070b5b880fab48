"""Two months of made-up history: seeded, shaped by published traces, tagged as simulated in every event."""
