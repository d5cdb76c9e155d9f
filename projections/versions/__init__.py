"""Versions of views: built beside the live one, compared with it, and put in its place."""
