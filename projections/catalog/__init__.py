"""Views of the catalog context."""
