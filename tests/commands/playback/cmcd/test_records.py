"""Real players' CMCD, read: the recordings, each deviation, the bounds, and any bytes at all."""

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.playback.cmcd.deviations import Deviation, counted
from commands.playback.cmcd.keys import KEYS, Shape
from commands.playback.cmcd.records import (
    Bounds,
    Reading,
    Reason,
    Unreadable,
    read_headers,
    read_json,
    read_lines,
    read_query,
)
from events.cmcd import EventToken, Hint, Measure, ObjectType, Other, PlayerState, Record, StreamingFormat, StreamType
from tests.commands.playback.cmcd.recorded import NAMES, RECORDINGS, readings, recording, records, requests
from tests.commands.playback.cmcd.writing import line_of

MANY = settings(max_examples=200, deadline=None)
SMALL = Bounds(line_max_bytes=60, max_members=4, max_items=3, text_max_characters=20, max_lines=2)

RECORDED = {
    "dashjs-5.2.1-event-batch5-destroy": 25,
    "dashjs-5.2.1-event-default-keys": 17,
    "dashjs-5.2.1-event-full": 79,
    "dashjs-5.2.1-request-v1-header": 12,
    "dashjs-5.2.1-request-v2-query": 21,
    "hlsjs-1.7.4-event-503-recover": 64,
    "hlsjs-1.7.4-event-full": 99,
    "hlsjs-1.7.4-request-v1-query": 19,
    "hlsjs-1.7.4-request-v2-header": 19,
}
MENDED = {
    ("dashjs", Deviation.TRAILING_LINE_FEED): 96,
    ("dashjs", Deviation.TTFB_AFTER_TTLB): 72,
    ("dashjs", Deviation.START_DELAY_EARLY): 4,
    ("hlsjs", Deviation.TRAILING_LINE_FEED): 163,
    ("hlsjs", Deviation.INIT_DURATION_ZERO): 6,
    ("hlsjs", Deviation.DECIMAL_FOR_INTEGER): 12,
    ("hlsjs", Deviation.CUSTOM_NUMBER): 1,
}


def only(line: str | bytes) -> Record:
    """The record of a line without a line feed."""
    [record] = read_lines(line if isinstance(line, bytes) else line.encode())
    assert isinstance(record, Record), record
    return record


def reason(reading: Reading) -> Reason:
    assert isinstance(reading, Unreadable), reading
    return reading.reason


# --- recordings of real players


@pytest.mark.parametrize("path", RECORDINGS, ids=NAMES)
def test_every_record_of_a_real_player_is_read(path: Path) -> None:
    read = readings(path)
    assert [reading for reading in read if isinstance(reading, Unreadable)] == []
    assert len(read) == RECORDED[path.stem]


def test_every_recording_is_read() -> None:
    assert set(NAMES) == set(RECORDED)


def test_the_deviations_of_real_players_are_counted_by_name_and_player() -> None:
    totals: Counter[tuple[str, str]] = Counter()
    for path in RECORDINGS:
        totals += counted([record.mended for record in records(path)], path.stem.partition("-")[0])
    assert totals == MENDED


@pytest.mark.parametrize("path", RECORDINGS, ids=NAMES)
def test_no_recorded_record_keeps_what_the_page_calls_wrong(path: Path) -> None:
    for record in records(path):
        assert record.ttfb is None or record.ttlb is None or record.ttfb <= record.ttlb
        assert not (record.ot is ObjectType.INIT and record.d == 0)
        assert not (record.sta is PlayerState.STARTING and record.msd is not None)


@pytest.mark.parametrize("path", RECORDINGS, ids=NAMES)
def test_a_recorded_record_written_again_is_the_same_record(path: Path) -> None:
    for record in records(path):
        assert same(only(line_of(record)), record)


@pytest.mark.parametrize("path", RECORDINGS, ids=NAMES)
def test_every_recorded_key_is_known_or_custom(path: Path) -> None:
    assert all("-" in other.key for record in records(path) for other in record.others)


def test_records_that_a_player_sent_again_have_the_same_identity() -> None:
    path = recording("hlsjs-1.7.4-event-503-recover")
    sent: dict[str, set[str]] = {}
    for request in requests(path):
        for record in read_lines(request["body"].encode()):
            assert isinstance(record, Record)
            sent.setdefault(str(record.identity("ours")), set()).add(request["body"])
    assert 0 < len(sent) < RECORDED[path.stem]
    assert all(len(bodies) == 1 for bodies in sent.values())


# --- keys and values


def test_the_table_of_keys_is_the_record() -> None:
    types = {
        Shape.FLAG: bool,
        Shape.INTEGER: int | None,
        Shape.DECIMAL: float | None,
        Shape.TEXT: str | None,
        Shape.TEXTS: tuple[str, ...],
        Shape.MEASURES: tuple[Measure, ...],
        Shape.HINTS: tuple[Hint, ...],
    }
    fields = {field.name: field.type for field in msgspec.structs.fields(Record)}
    del fields["others"], fields["mended"]
    assert fields == {
        name: int if name == "v" else key.words | None if key.words else types[key.shape] for name, key in KEYS.items()
    }


def test_v1_has_its_18_keys() -> None:
    v1 = "bl br bs cid d dl mtp nor nrr ot pr rtp sf sid st su tb v"
    assert {name for name, key in KEYS.items() if key.since == 1} == set(v1.split())


def test_a_record_is_typed() -> None:
    record = only(
        'bl=(2000;v 1900;a),br=(500;v),bs,cid="c",e=ps,nor=("a.mp4";r="0-99"),ot=av,pr=1.5,sf=h,st=ll,sta=p,v=2'
    )
    assert record.bl == (Measure(2000, ObjectType.VIDEO), Measure(1900, ObjectType.AUDIO))
    assert (record.bs, record.bg, record.cid, record.pr) == (True, False, "c", 1.5)
    assert (record.e, record.sta) == (EventToken.STATE_CHANGED, PlayerState.PLAYING)
    assert (record.ot, record.sf, record.st) == (ObjectType.MUXED, StreamingFormat.HLS, StreamType.LOW_LATENCY)
    assert record.nor == (Hint("a.mp4", "0-99"),)
    assert record.mended == ()


def test_the_scalars_of_v1_are_lists_of_one_without_a_deviation() -> None:
    record = only('bl=2000,br=500,nor="a.mp4",nrr="0-99"')
    assert (record.v, record.bl, record.br, record.nor) == (1, (Measure(2000),), (Measure(500),), (Hint("a.mp4"),))
    assert (record.nrr, record.mended) == ("0-99", ())


def test_unknown_and_custom_keys_are_kept_as_they_were_written() -> None:
    record = only('com.example-n=3,com.example-q="a \\"b\\" c",com.example-t=gold,zz=(1 2;x),com.example-f,v=2')
    assert {other.key: other.value for other in record.others} == {
        "com.example-f": "?1",
        "com.example-n": "3",
        "com.example-q": '"a \\"b\\" c"',
        "com.example-t": "gold",
        "zz": "(1 2;x)",
    }


@pytest.mark.parametrize(
    ("line", "expected", "deviation"),
    [
        ("e=rr,ttfb=1795245485267,ttlb=14,v=2", {"ttfb": None, "ttlb": 14}, Deviation.TTFB_AFTER_TTLB),
        ("e=e,ec=27,v=2", {"ec": ("27",)}, Deviation.ERROR_CODE_BARE),
        ("e=t,ec=(27),sta=p,v=2", {"ec": ()}, Deviation.ERROR_CODE_STUCK),
        ("e=ps,msd=12,sta=s,v=2", {"msd": None}, Deviation.START_DELAY_EARLY),
        ("d=0,ot=i,v=2", {"d": None}, Deviation.INIT_DURATION_ZERO),
        ("br=64,v=2", {"br": (Measure(64),)}, Deviation.SCALAR_FOR_LIST),
        ('nor="a.mp4",v=2', {"nor": (Hint("a.mp4"),)}, Deviation.SCALAR_FOR_LIST),
        ("d=(2000),v=2", {"d": 2000}, Deviation.LIST_FOR_SCALAR),
        ("pb=(566.234;v),v=2", {"pb": (Measure(566, ObjectType.VIDEO),)}, Deviation.DECIMAL_FOR_INTEGER),
        ("bl=99.5,v=1", {"bl": (Measure(100),)}, Deviation.DECIMAL_FOR_INTEGER),
        ("bg=?0,e=b,v=2", {"bg": False}, Deviation.FALSE_SAID),
        ("com.example-n=3,v=2", {"others": (Other("com.example-n", "3"),)}, Deviation.CUSTOM_NUMBER),
        ('ot="v",v=2', {"ot": ObjectType.VIDEO}, Deviation.QUOTING),
        ("sid=abc,v=2", {"sid": "abc"}, Deviation.QUOTING),
        ("com.example-myKey=abc", {"others": (Other("com.example-mykey", "abc"),)}, Deviation.KEY_CASE),
        ('cid="영화, A=1",v=2', {"cid": "%EC%98%81%ED%99%94, A=1"}, Deviation.NON_ASCII),
        ("d=5;x,v=2", {"d": 5}, Deviation.PARAMETER_DROPPED),
        ("br=(5;x=1),v=2", {"br": (Measure(5),)}, Deviation.PARAMETER_DROPPED),
        ("sta=zz,v=2", {"sta": None, "others": (Other("sta", "zz"),)}, Deviation.VALUE_UNFIT),
        ("d=-1,v=2", {"d": None, "others": (Other("d", "-1"),)}, Deviation.VALUE_UNFIT),
        ("e=t", {"v": 2}, Deviation.VERSION_MISSING),
        ("e=t,v=2\n", {"e": EventToken.TIME}, Deviation.TRAILING_LINE_FEED),
    ],
)
def test_a_deviation_is_mended_and_named(line: str, expected: dict[str, object], deviation: Deviation) -> None:
    record = only(line)
    assert {name: getattr(record, name) for name in expected} == expected
    assert deviation in record.mended


def test_every_deviation_has_its_case() -> None:
    [cases] = [mark.args[1] for mark in test_a_deviation_is_mended_and_named.pytestmark]  # type: ignore[attr-defined]
    assert {deviation for _, _, deviation in cases} == set(Deviation)


def test_the_error_code_of_a_fatal_state_is_no_leftover() -> None:
    record = only('e=ps,ec=("manifestLoadError"),sta=f,v=2')
    assert (record.ec, record.mended) == (("manifestLoadError",), ())


def test_a_batch_may_end_with_a_line_feed() -> None:
    assert [reading.mended for reading in read_lines(b"e=t,v=2\ne=t,v=2\n") if isinstance(reading, Record)] == [(), ()]


# --- the four ways in


def test_the_four_ways_say_the_same() -> None:
    expected = only('bl=(7900;v),cid="a b",e=ps,sn=3,sta=p,ts=1795245485267,v=2')
    query = "x=1&CMCD=bl%3D(7900%3Bv),cid%3D%22a+b%22%2Ce%3Dps%2Csn%3D3%2Csta%3Dp%2Cts%3D1795245485267%2Cv%3D2&CMCD=no"
    headers = {
        "CMCD-Object": "bl=(7900;v)",
        "cmcd-request": "sn=3,sta=p,ts=1795245485267",
        "CMCD-Session": 'cid="a b",e=ps,v=2',
        "host": "example.com",
    }
    said = {
        "bl": [{"value": 7900, "params": {"v": True}}],
        "cid": "a b",
        "e": "ps",
        "sn": 3,
        "sta": "p",
        "ts": 1795245485267,
        "v": 2,
        "ec": None,
    }
    assert read_query(query) == expected
    assert read_headers(headers) == expected
    assert read_json(json.dumps(said).encode()) == [expected]
    assert read_json(json.dumps([said, said]).encode()) == [expected, expected]


def test_a_query_and_headers_without_cmcd_are_unreadable() -> None:
    assert reason(read_query("a=b&cmcd=bl%3D1")) is Reason.ABSENT
    assert reason(read_headers({"cmcd-object": "", "host": "example.com"})) is Reason.ABSENT
    assert reason(read_query("CMCD=")) is Reason.EMPTY


def test_json_says_what_a_dictionary_cannot() -> None:
    [record] = read_json('{"sn": 1e300, "x": 123456789012345678901, "cid": "영\\u0000", "sta": 5, "Y-Z": [1]}'.encode())
    assert isinstance(record, Record)
    assert (record.sn, record.cid) == (None, "%EC%98%81%00")
    assert [other.key for other in record.others] == ["sta", "y-z"]
    assert record.mended == (Deviation.KEY_CASE, Deviation.NON_ASCII, Deviation.VALUE_UNFIT)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, b'{"a":' * 2_000, b"[1]", b"3", b'{"a": {"b": 1}}', b"\xff"]
)
def test_json_of_another_form_is_malformed(body: bytes) -> None:
    assert {reason(reading) for reading in read_json(body)} <= {Reason.MALFORMED, Reason.LINE_TOO_LONG}


# --- bounds


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"d=1;" + b"a" * 60, Reason.LINE_TOO_LONG),
        (b"a,b,c,d,e", Reason.TOO_MANY_MEMBERS),
        (b"br=(1 2 3 4),v=2", Reason.TOO_MANY_ITEMS),
        (b'sid="' + b"a" * 21 + b'"', Reason.TEXT_TOO_LONG),
        (b"a" * 21, Reason.TEXT_TOO_LONG),
        (b'nor=("a";r="' + b"a" * 21 + b'")', Reason.TEXT_TOO_LONG),
        (b"d=", Reason.MALFORMED),
        (b'sid="', Reason.MALFORMED),
        (b"\x00", Reason.MALFORMED),
    ],
)
def test_what_is_beyond_a_bound_is_unreadable_and_spoils_no_neighbour(line: bytes, expected: Reason) -> None:
    bad, good = read_lines(line + b"\nd=1", SMALL)
    assert reason(bad) is expected
    assert isinstance(good, Record)


def test_lines_past_the_bound_are_one_unreadable() -> None:
    assert [type(reading) for reading in read_lines(b"d=1\n" * 9, SMALL)] == [Record, Record, Unreadable]
    assert reason(read_json(b'[{"d":1},{"d":1},{"d":1}]', SMALL)[-1]) is Reason.TOO_MANY_LINES


def test_a_query_and_headers_have_the_bounds_of_a_line() -> None:
    assert reason(read_query("CMCD=" + "a" * 61, SMALL)) is Reason.LINE_TOO_LONG
    assert reason(read_query("CMCD=a&" + "a" * 300, SMALL)) is Reason.LINE_TOO_LONG
    assert reason(read_headers({"cmcd-object": "a" * 31, "cmcd-session": "b" * 31}, SMALL)) is Reason.LINE_TOO_LONG
    assert reason(read_headers({"cmcd-object": "a", "cmcd-session": "b="}, SMALL)) is Reason.MALFORMED


# --- identity


def test_an_event_is_identified_by_session_target_number_time_and_event() -> None:
    line = 'e=t,sid="s",sn=1,ts=5,v=2'
    identity = only(line).identity("a")
    assert identity == only(line + ",br=(5)").identity("a") == "cmcd:" + str(identity)[5:]
    others = [line.replace(*change) for change in [('"s"', '"t"'), ("sn=1", "sn=2"), ("ts=5", "ts=6"), ("e=t", "e=b")]]
    assert len({identity, only(line).identity("b"), *(only(other).identity("a") for other in others)}) == 6


@pytest.mark.parametrize(
    "line", ["e=t,ts=1,v=2", 'e=t,sid="s",sn=1,v=2', 'sid="s",sn=1,ts=1,v=2', 'e=t,sid="s",ts=1,v=2']
)
def test_an_event_that_leaves_out_a_part_is_identified_by_all_that_it_says(line: str) -> None:
    identity = only(line).identity("ours")
    assert identity == only(line + "\n").identity("ours")  # alone in its body or not
    assert identity != only(line + ",br=(5)").identity("ours")
    assert identity != only(line).identity("theirs")


# --- any bytes at all


def same(one: Record, other: Record) -> bool:
    return msgspec.structs.replace(one, mended=()) == msgspec.structs.replace(other, mended=())


_names = st.sampled_from([*KEYS, "com.example-x", "x", "*-", "A-b"])
_scalars = st.one_of(
    st.integers(-5, 10**15).map(str),
    st.decimals(-9, 10**11, places=3).map(str),
    st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\')).map('"{}"'.format),
    st.sampled_from(["p", "v", "ps", "rr", "t", "?0", "?1", ":YQ==:", "@5", '%"%ea%b0%80"', '"\\""', '"가"', "*/x"]),
)
_items = st.builds("{}{}".format, _scalars, st.sampled_from(["", ";v", ";a;v", ';r="1-2"', ";x=1", ";tt=?0"]))
_members = st.one_of(_items, st.lists(_items, max_size=4).map(lambda items: f"({' '.join(items)})"))
_lines = st.lists(st.builds("{}={}".format, _names, _members) | _names, max_size=8).map(",".join).map(str.encode)


@MANY
@given(st.binary(max_size=300) | st.lists(_lines | st.binary(max_size=20), max_size=4).map(b"\n".join))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    text = body.decode(errors="replace")
    for reading in (
        *read_lines(body),
        *read_json(body),
        read_query(f"CMCD={text}"),
        read_headers({"cmcd-object": text}),
    ):
        assert isinstance(reading, Record | Unreadable)
        msgspec.json.encode(reading)


_json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@MANY
@given(st.dictionaries(_names | st.text(max_size=5), _json_values, max_size=6))
def test_no_json_makes_it_raise(said: dict[str, object]) -> None:
    for reading in read_json(json.dumps(said).encode()):
        assert isinstance(reading, Record | Unreadable)
        msgspec.json.encode(reading)


@MANY
@given(_lines)
def test_writing_what_was_read_and_reading_it_gives_an_equal_record(line: bytes) -> None:
    for reading in read_lines(line):
        if isinstance(reading, Record) and (again := line_of(reading)):
            assert same(only(again), reading)
