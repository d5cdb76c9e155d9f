"""The quick way and the whole way read the same; and any line takes time in proportion to its length."""

import time
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from commands.playback.cmcd.dictionaries import parse
from commands.playback.cmcd.keys import KEYS
from commands.playback.cmcd.quick import read_quickly
from commands.playback.cmcd.records import BOUNDS, Bounds, _read, read_lines
from events.cmcd import Record
from tests.commands.playback.cmcd.recorded import RECORDINGS, requests

LINES: Final = [
    line
    for path in RECORDINGS
    for sent in requests(path)
    if sent["kind"] == "collect"
    for line in sent["body"].encode().splitlines()
]
PARTS: Final = [
    *("", "=", "=5", "=007", "=-1", "=1.5", "=1.2345", "=1234567890123456", "=t", "=ps", "=v", "=zz", "=?1", "=?0"),
    *('="a b"', '=""', '="a\\"b"', '="(,)"', "=()", "=(5)", "=(5 6)", "=(5;v)", "=(5;v 6;a)", "=(5;zz)", "=( 5)"),
    *("=(5  6)", "=(1.5)", '=("a")', '=("a" "b")', '=("a";r="1-2")', "=:aGk=:", "=2", "=1", "=a-b", "=*", "=5;x"),
]
members = st.tuples(st.sampled_from([*KEYS, "x", "x-y", "BR", "b r", "zzzzzzz"]), st.sampled_from(PARTS)).map("".join)
lines = st.lists(members, max_size=9).flatmap(
    lambda said: st.sampled_from([",v=2", "", ",v=1", ",", " , v=2", "\u00e9"]).map(lambda end: ",".join(said) + end)
)


def whole(line: bytes, bounds: Bounds = BOUNDS) -> object:
    return _read(parse, line, 0, bounds)


@settings(max_examples=1_000, deadline=None)
@given(line=lines)
@example(line="v=2")
@example(line="bs=(),v=2")
@example(line='bs="",v=2')
@example(line="br=(5),br=(6),v=2")
def test_the_quick_way_reads_what_the_whole_way_reads(line: str) -> None:
    body = line.encode()
    [*readings] = read_lines(body)
    assert readings == ([whole(body.strip())] if body.strip() else [])


@pytest.mark.parametrize("bounds", [Bounds(max_members=4), Bounds(max_items=1), Bounds(text_max_characters=5)])
def test_the_quick_way_keeps_the_bounds_of_the_whole_way(bounds: Bounds) -> None:
    for line in (b'br=(5 6),cid="abcdef",v=2', b"bl=(1),br=(2),e=t,ts=5,v=2", b'cid="abcd",v=2'):
        assert read_lines(line, bounds) == [whole(line, bounds)]


def test_most_of_what_real_players_send_goes_the_quick_way() -> None:
    quick = [line for line in LINES if read_quickly(line, max_members=96, max_items=64) is not None]
    assert len(quick) / len(LINES) > 0.9
    assert all(isinstance(reading, Record) for line in LINES for reading in read_lines(line))


@pytest.mark.parametrize("bad", ["a" * 8_000, "a=" * 4_000, '"' * 8_000, 'a="' * 2_700, "a=(" * 2_700, "1" * 8_000])
def test_no_line_takes_long(bad: str) -> None:
    before_s = time.process_time()
    assert read_quickly(f"{bad}!".encode(), max_members=96, max_items=64) is None
    assert time.process_time() - before_s < 0.1
