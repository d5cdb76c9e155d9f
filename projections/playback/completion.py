"""When a title counts as watched, and when it is worth resuming (source: domain rules R4 and R5)."""

import msgspec

from events.playback import PlaybackCompleted, PlaybackStarted, Reported, TitleSnapshot


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """The rules' numbers, named as the settings that configure them."""

    bookmark_min_watched_ms: int = 60_000
    bookmark_min_watched_ratio: float = 0.05
    complete_at_ratio: float = 0.9
    resumable_min_duration_ms: int = 300_000

    def enough_to_bookmark_ms(self, title: TitleSnapshot) -> int:
        """How much of a title must be watched before it replaces an older bookmark (R4)."""
        return min(self.bookmark_min_watched_ms, int(title.duration_ms * self.bookmark_min_watched_ratio))

    def is_complete(self, title: TitleSnapshot, position_ms: int) -> bool:
        """Whether a position is in the credits, or so near the end that nobody resumes there (R5)."""
        if title.credits_start_ms is not None:
            return position_ms >= title.credits_start_ms
        return position_ms >= title.duration_ms * self.complete_at_ratio

    def is_resumable(self, title: TitleSnapshot) -> bool:
        """Whether a title is long enough to be resumed (R5)."""
        return title.duration_ms >= self.resumable_min_duration_ms

    def completes(self, event: PlaybackStarted | Reported) -> bool:  # type: ignore[type-arg]
        """Whether an event completes its title."""
        if isinstance(event, PlaybackStarted):
            return False
        return isinstance(event, PlaybackCompleted) or self.is_complete(event.session.title, event.report.position_ms)
