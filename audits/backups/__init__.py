"""A backup of what cannot be made again, and the way back from it to an installation whose every view is equal."""
