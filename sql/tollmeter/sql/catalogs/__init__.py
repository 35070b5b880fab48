"""Iceberg catalogs: one file per kind."""
