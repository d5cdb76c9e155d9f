"""The published JSON Schema of every event version."""
