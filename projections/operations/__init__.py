"""Views of Playhead's own running."""
