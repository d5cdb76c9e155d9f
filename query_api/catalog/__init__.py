"""Catalog reads, all from Postgres: tables catalog_titles, catalog_windows and catalog_search."""

from typing import Final

TOPIC: Final = "catalog.events"
"""What all views here are folded from."""
