"""What gunicorn says of itself goes where all other records go; requests are logged by the application."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger


class GunicornLog(Logger):  # type: ignore[misc] # gunicorn has no types
    """Gunicorn's logger without handlers of its own."""

    def setup(self, cfg: Any) -> None:
        """As gunicorn calls it at the start, in each process."""
        super().setup(cfg)
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True
