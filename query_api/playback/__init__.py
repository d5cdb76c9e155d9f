"""Playback reads: continue watching (Redis), watch history and timelines (Cassandra), sessions (Postgres)."""

from typing import Final

TOPIC: Final = "playback.events"
"""What all views here are folded from."""
