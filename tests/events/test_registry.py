"""Types on the wire, versions and upcasting."""

import msgspec
import pytest

from events import playback
from events.envelope import Event, encode
from events.registry import REGISTRY, Registry, UnknownEventType, dataschema_of, type_of
from tests.builders import envelope, reported, session


class LanternLit(Event, frozen=True):
    """A first version."""

    brightness: int


class LanternLitV2(Event, frozen=True):
    """A version that measures in another unit."""

    brightness_lm: int


def upcast(old: LanternLit) -> LanternLitV2:
    return LanternLitV2(brightness_lm=old.brightness * 10)


lanterns = Registry((LanternLit, LanternLitV2), {LanternLit: upcast})


def test_a_type_is_mechanical_from_its_class() -> None:
    assert type_of(playback.PlaybackPaused) == "playback.PlaybackPaused.v1"
    assert type_of(LanternLitV2) == "test_registry.LanternLit.v2"
    assert dataschema_of("playback.PlaybackPaused.v1") == "/schemas/playback/PlaybackPaused.v1.json"


def test_an_event_comes_back_as_it_was_recorded() -> None:
    built = reported(playback.Paused, seq=4)
    assert REGISTRY.decode(encode(built)).data == built.data


def test_an_old_version_reads_as_the_newest() -> None:
    assert lanterns.decode(encode(envelope(LanternLit(brightness=8)))).data == LanternLitV2(brightness_lm=80)
    assert lanterns.decode(encode(envelope(LanternLitV2(brightness_lm=3)))).data == LanternLitV2(brightness_lm=3)


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(UnknownEventType, match=r"test_registry\.LanternLit\.v1"):
        REGISTRY.decode(encode(envelope(LanternLit(brightness=8))))


def test_unknown_fields_are_ignored_by_readers_of_today() -> None:
    body = encode(reported(playback.Paused, seq=4)).replace(b'"time_adjusted"', b'"mood":"calm","time_adjusted"')
    assert isinstance(REGISTRY.decode(body).data, playback.PlaybackPaused)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"id": 1}'])
def test_bytes_that_are_no_event_raise_a_decode_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        REGISTRY.decode(body)


def test_every_playback_event_carries_its_session() -> None:
    for report_class, event_class in playback.EVENT_OF.items():
        fields = {field.name: field.type for field in msgspec.structs.fields(event_class)}
        assert fields["report"] is report_class
        assert fields["session"] is type(session())
