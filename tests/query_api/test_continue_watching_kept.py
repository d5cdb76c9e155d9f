"""When a reply of continue watching is used again, and how many are kept."""

from datetime import UTC, datetime

from infra.http.deflating import codings_of
from infra.http.representations import Whole
from infra.settings import Settings
from query_api.playback.continue_watching_kept import Around, Asked, Kept, KeptReplies, Read
from query_api.playback.playable import Holdings, Viewer

NOW_S = 1_000.0
ROW = b'{"title_id":"heat"}'
NOTHING_HELD = Holdings([], datetime(2026, 1, 1, tzinfo=UTC))
AROUND = Around([b"7:1:{}"], frozenset({"gone"}), titles=1)


def reply(profile_id: str = "profile-1", around: Around = AROUND, body: bytes = b"{}") -> Kept:
    read = Read([profile_id.encode()], around, complete=True)
    return Kept.of(read, NOTHING_HELD, NOW_S, {ROW: b"shown"}, Whole([], body))


def asked(profile_id: str = "profile-1") -> Asked:
    return Asked(profile_id, Viewer("household-1", None, "KR"), 20)


def test_rows_are_shown_as_before_while_all_that_they_depend_on_is_the_same() -> None:
    kept = reply()
    assert kept.is_around(Around([b"7:1:{}"], frozenset({"gone"}), titles=1), NOW_S - 1)
    for other in (
        Around([b"8:1:{}"], AROUND.withdrawn, AROUND.titles),
        Around(AROUND.held, frozenset(), AROUND.titles),
        Around(AROUND.held, AROUND.withdrawn, titles=2),
    ):
        assert not kept.is_around(other, NOW_S - 1)


def test_when_a_window_or_what_was_bought_begins_or_ends_nothing_is_used_again() -> None:
    assert not reply().is_around(AROUND, NOW_S)


def test_each_viewer_and_each_page_has_its_own() -> None:
    replies = KeptReplies(max_bytes=1_000_000)
    replies.keep(asked(), reply())
    assert replies.find(asked()) is not None
    for other in (
        asked("profile-2"),
        asked()._replace(limit=19),
        asked()._replace(viewer=None),
        asked()._replace(viewer=Viewer("household-1", 12, "KR")),
        asked()._replace(viewer=Viewer("household-1", None, "NL")),
        asked()._replace(with_unplayable=True),
    ):
        assert replies.find(other) is None


def test_so_many_bytes_are_kept_and_what_is_asked_for_stays() -> None:
    one = reply(body=bytes(10_000))
    replies = KeptReplies(max_bytes=10 * (one.size + one.whole.size))
    for number in range(1_000):
        replies.keep(asked(str(number)), reply(str(number), body=bytes(10_000)))
        assert replies.find(asked("0")) is not None
        assert len(replies) <= 10
    assert len(replies) == 10
    assert replies.find(asked("999")) is not None
    assert replies.find(asked("500")) is None


def test_a_reply_in_the_place_of_one_before_counts_once() -> None:
    replies = KeptReplies(max_bytes=4 * (reply().size + len(b"{}")))
    for _ in range(100):
        replies.keep(asked(), reply())
        replies.keep(asked("profile-2"), reply("profile-2"))
    assert len(replies) == 2


async def test_what_a_reply_is_compressed_to_counts_as_well() -> None:
    one = reply(body=bytes(10_000))
    replies = KeptReplies(max_bytes=3 * (one.size + one.whole.size))
    for number in range(3):
        replies.keep(asked(str(number)), reply(str(number), body=bytes(10_000)))
    last = replies.find(asked("2"))
    assert last is not None and len(replies) == 3
    await last.whole.encoded(b"gzip", codings_of(Settings())[b"gzip"], thread_bytes=100_000)
    assert replies.find(asked("2")) is last
    assert replies.find(asked("0")) is None


def test_nothing_is_kept_where_nothing_may_be() -> None:
    replies = KeptReplies(max_bytes=0)
    for number in range(10):
        replies.keep(asked(str(number)), reply())
    assert len(replies) == 0
