"""Prompts and answers, where a setting asks for them: off by default, bounded, and redacted before they are written."""
