"""Lines of a body that arrives in pieces: commands/playback/backfill/lines.py."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from commands.playback.backfill.lines import Line, Splitter

MOST = 64


def split(*pieces: bytes) -> tuple[list[Line], bytes]:
    splitter = Splitter(MOST)
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    lines += splitter.end()
    return lines, splitter.digest()


def test_lines_are_counted_from_one_and_stripped() -> None:
    assert split(b'{"a":1}\r\n\n  {"b":2}\n')[0] == [Line(1, b'{"a":1}'), Line(2, b""), Line(3, b'{"b":2}')]


def test_a_last_line_needs_no_newline() -> None:
    assert split(b"one\ntwo")[0] == [Line(1, b"one"), Line(2, b"two")]


def test_a_body_without_a_byte_has_no_line() -> None:
    assert split()[0] == split(b"")[0] == []


def test_a_line_that_is_too_long_is_passed_over_and_its_neighbours_are_not() -> None:
    long = b"x" * 1000
    assert split(b"before\n" + long, long, long + b"\nafter\n")[0] == [
        Line(1, b"before"),
        Line(2, None),
        Line(3, b"after"),
    ]


def test_a_line_of_exactly_the_limit_is_taken() -> None:
    assert split(b"x" * MOST)[0] == [Line(1, b"x" * MOST)]
    assert split(b"x" * (MOST + 1))[0] == [Line(1, None)]


def test_bodies_that_differ_only_in_a_line_that_is_too_long_differ() -> None:
    assert split(b"x" * 500 + b"y\n")[1] != split(b"x" * 500 + b"z\n")[1]


def test_bodies_that_differ_only_in_where_lines_end_differ() -> None:
    assert split(b"ab\nc\n")[1] != split(b"a\nbc\n")[1]


def test_the_digest_is_of_the_lines_given_out_and_no_more() -> None:
    splitter = Splitter(MOST)
    lines = splitter.feed(b"one\ntwo\nthree")
    next(lines)
    assert splitter.digest() == split(b"one\n")[1]
    assert [line.content for line in lines] == [b"two"]
    assert splitter.digest() == split(b"one\ntwo\n")[1]


@given(
    lines=st.lists(st.binary(max_size=2 * MOST).map(lambda line: line.replace(b"\n", b"")), max_size=30),
    cuts=st.lists(st.integers(0, 3000), max_size=20),
)
def test_it_does_not_matter_in_which_pieces_a_body_arrives(lines: list[bytes], cuts: list[int]) -> None:
    body = b"\n".join(lines)
    at = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:end] for start, end in pairwise(at)]
    assert split(*pieces) == split(body)
    expected = body.split(b"\n") if body else []
    expected = expected[:-1] if expected and not expected[-1] else expected
    assert [line.content for line in split(body)[0]] == [
        None if len(line) > MOST else line.strip() for line in expected
    ]
