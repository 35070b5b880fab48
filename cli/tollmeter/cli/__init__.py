"""The one command, `tollmeter`."""
