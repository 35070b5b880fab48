"""What sinks send, derived from events by pure functions: traces, spans, metrics."""
