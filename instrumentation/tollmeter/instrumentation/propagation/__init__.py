"""Trace context over HTTP: which headers of a request are continued, and what calls carry to the hosts allowed."""
