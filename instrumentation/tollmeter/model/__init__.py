"""The vocabulary every part of Tollmeter speaks: events, columns, metrics, settings, names, spool, errors."""
