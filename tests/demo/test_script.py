"""A viewer's evening is the same for the same seed, and never impossible."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from playhead.demo.watching.manners import deliveries
from playhead.demo.watching.sitting import Sitting
from tests.demo.evenings import HOUR_MS, sent, sittings

VIEWERS = range(60)


def test_the_same_seed_plays_the_same_evening() -> None:
    assert sittings(3, seed=7) == sittings(3, seed=7)
    assert list(sent(3, seed=7)) == list(sent(3, seed=7))


def test_another_seed_plays_another_evening() -> None:
    assert sittings(3, seed=7) != sittings(3, seed=8)


def test_no_position_lies_beyond_its_title() -> None:
    for sitting in all_sittings():
        assert all(0 <= moment.position_ms <= sitting.act.title.duration_ms for moment in sitting.moments)


def test_seqs_count_up_from_zero_and_time_never_runs_back() -> None:
    for sitting in all_sittings():
        assert [moment.seq for moment in sitting.moments] == list(range(len(sitting.moments)))
        assert all(before.at_ms <= after.at_ms for before, after in pairwise(sitting.moments))


def test_a_viewer_sits_in_front_of_one_title_at_a_time() -> None:
    for viewer in VIEWERS:
        assert all(before.ends_ms < after.starts_ms for before, after in pairwise(sittings(viewer)))


def test_the_evening_ends_for_everyone_within_a_beat_of_its_end() -> None:
    assert max(sitting.ends_ms for sitting in all_sittings()) < HOUR_MS + 20_000


@pytest.mark.parametrize("seed", range(20))
def test_the_first_viewer_finishes_an_episode_and_takes_the_next_from_the_television_to_the_phone(seed: int) -> None:
    first, second, third = sittings(0, seed)[:3]
    assert first.finished or first.failed
    if not (first.failed or second.failed):
        assert (second.act.title.title_id, second.act.device.type) == ("episode-1", "tv")
        assert (third.act.title.title_id, third.act.device.type) == ("episode-1", "phone")
        assert third.act.from_ms == second.position_ms


def test_an_evening_holds_every_kind_of_event_and_every_bad_manner() -> None:
    types = Counter(moment.type for sitting in all_sittings() for moment in sitting.moments)
    assert types.keys() == {
        *("started", "heartbeat", "paused", "resumed", "seeked", "buffering_started", "buffering_ended"),
        *("bitrate_changed", "quality_changed", "error", "completed", "stopped"),
    }
    posts = [post for viewer in VIEWERS for post in sent(viewer)]
    assert any(delivery.reply_lost for _, delivery in posts)
    assert any(delivery.at_ms > sitting.ends_ms for sitting, delivery in posts)
    assert any(before.seq > after.seq for _, delivery in posts for before, after in pairwise(delivery.moments))
    assert any(sitting.failed for sitting, _ in posts)


def test_every_moment_is_sent_in_exactly_one_report() -> None:
    for sitting in all_sittings():
        delivered = [moment for delivery in deliveries(sitting, Random(1)) for moment in delivery.moments]
        assert sorted(delivered, key=lambda moment: moment.seq) == list(sitting.moments)


def all_sittings() -> list[Sitting]:
    return [sitting for viewer in VIEWERS for sitting in sittings(viewer)]
