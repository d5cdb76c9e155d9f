"""Replies that are kept while nothing that they were read from has changed (ADR 23)."""
