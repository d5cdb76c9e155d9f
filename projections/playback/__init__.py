"""Views of the playback context."""
