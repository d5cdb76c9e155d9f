"""Versions of the views in Postgres: built beside the live one, compared with it, and put in its place."""
