"""Who may see what: tokens are checked at the gate, rows are scoped where the lake is asked."""

from __future__ import annotations

from tollmeter.dashboards.access.gate import guard
from tollmeter.dashboards.access.viewer import LOCAL, Viewer, viewer

__all__ = ["LOCAL", "Viewer", "guard", "viewer"]
