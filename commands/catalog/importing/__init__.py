"""Bulk import of titles from a JSON Lines file, through the same decisions as the HTTP API."""
