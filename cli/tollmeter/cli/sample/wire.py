"""Headers by which the load generator tells the loopback upstream what to answer; the service passes them on."""

from __future__ import annotations

from typing import Final

REPLAY_PREFIX: Final = "x-replay-"
INPUT_TOKENS: Final = REPLAY_PREFIX + "input-tokens"
OUTPUT_TOKENS: Final = REPLAY_PREFIX + "output-tokens"
CACHED_TOKENS: Final = REPLAY_PREFIX + "cached-tokens"
FAIL_STATUS: Final = REPLAY_PREFIX + "fail-status"
"""HTTP status to fail with, such as 429 or 500."""
FAIL_ATTEMPTS: Final = REPLAY_PREFIX + "fail-attempts"
"""How many attempts of one call fail; without it all do."""
TTFT_MS: Final = REPLAY_PREFIX + "ttft-ms"
DURATION_MS: Final = REPLAY_PREFIX + "duration-ms"

TENANT: Final = "x-tenant-id"
USER: Final = "x-user-id"
SESSION: Final = "x-session-id"

SIMULATED_TAG: Final = "tollmeter.simulated"
"""Tag that names what was made up about an event."""
