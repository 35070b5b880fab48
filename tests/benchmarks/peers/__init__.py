"""The pinned sets that hold what Tollmeter is compared with, and the worker that runs in each."""
