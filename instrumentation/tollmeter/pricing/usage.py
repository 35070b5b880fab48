"""What one model call consumed, in the inclusive fields of the lake."""

from __future__ import annotations

from typing import Final

import msgspec

from tollmeter.model.events import UsageSource
from tollmeter.model.names import USAGE_REPORTED

TOOL_WEB_SEARCH: Final = "web_search"
TOOL_FILE_SEARCH: Final = "file_search"
TOOL_CODE_INTERPRETER: Final = "code_interpreter"


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Token counts of one call; fields are named as the columns, and None means that the provider did not say.

    `input_tokens` and `output_tokens` are inclusive; every other token field is a part of one of them. An explicit zero
    is a statement of the provider, not a missing value.

    >>> Usage(input_tokens=1000, cache_read_tokens=600, output_tokens=20).source
    'reported'
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    server_tool_calls: dict[str, int] = {}
    source: UsageSource = USAGE_REPORTED

    def is_consistent(self) -> bool:
        """Whether no count is negative and no part exceeds its whole.

        >>> Usage(input_tokens=10, cache_read_tokens=600).is_consistent()
        False
        """
        whole_in, whole_out = self.input_tokens or 0, self.output_tokens or 0
        read, written = self.cache_read_tokens or 0, self.cache_write_tokens or 0
        long_lived, reasoning = self.cache_write_1h_tokens or 0, self.reasoning_tokens or 0
        media_in = (self.input_audio_tokens or 0, self.input_image_tokens or 0)
        media_out = (self.output_audio_tokens or 0, self.output_image_tokens or 0)
        return (
            min(whole_in, whole_out, read, written, long_lived, reasoning, *media_in, *media_out) >= 0
            and min(self.server_tool_calls.values(), default=0) >= 0
            and read + written <= whole_in
            and long_lived <= written
            and sum(media_in) <= whole_in
            and max(reasoning, sum(media_out)) <= whole_out
        )
