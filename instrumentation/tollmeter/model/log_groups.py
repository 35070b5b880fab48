"""The log group of a service in CloudWatch: where the cloudwatch_logs sink puts its lines, and boards look for them."""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 256
_PUNCTUATION: Final = "_-/.#"


def log_group(template: str, service: str) -> str:
    """The setting `cloudwatch_log_group` with the service in its place, in the characters a group's name may have.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html

    >>> log_group("/tollmeter/{service}", "chat bot"), log_group("/tollmeter/{service}", "")
    ('/tollmeter/chat_bot', '/tollmeter/unnamed')
    """
    fit = (char if char.isascii() and (char.isalnum() or char in _PUNCTUATION) else "_" for char in service)
    return template.replace("{service}", "".join(fit)[:_LONGEST] or "unnamed")
