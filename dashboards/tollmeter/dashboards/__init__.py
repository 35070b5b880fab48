"""The dashboard: queries → prepare → figures → page."""

from __future__ import annotations

from tollmeter.dashboards.app import create_app
from tollmeter.dashboards.production import serve_production
from tollmeter.dashboards.server import serve

__all__ = ["create_app", "serve", "serve_production"]
