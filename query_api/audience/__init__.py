"""How much is watched: by title for analysts, and what is popular and rising for viewers. All from Postgres: tables
title_audience_by_hour, title_starts_by_day, title_retention_by_day and title_profiles_by_day.
"""

from typing import Final

TOPIC: Final = "playback.events"
"""What all views here are folded from."""
