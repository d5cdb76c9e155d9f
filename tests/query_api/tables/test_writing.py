"""Rows as lines: what a CSV or JSON Lines file says is what JSON says."""

import csv
import json
from io import StringIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue

from infra.http.problems import Problem
from query_api.tables.asking import EXPORT_CUT
from query_api.tables.columns import Row, chosen, columns_of, value_at
from query_api.tables.writing import FORMULA, Csv, JsonLines, cell_of, text_of


class Price(BaseModel):
    currency: str
    amount_minor: int | None


class Offer(BaseModel):
    offer_id: str
    price: Price | None
    tags: list[str]
    said: dict[str, JsonValue]
    share: float | None
    on_sale: bool


COLUMNS = columns_of(Offer)
TEXT = st.one_of(
    st.text(), st.sampled_from(["=1+1", "'=1", "-5", "+", "@a", "\ta", "\r\n", '"', ",", "", "# a", "＝1"])
)
SCALAR: st.SearchStrategy[JsonValue] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
SAID = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
OFFERS = st.fixed_dictionaries(
    {
        "offer_id": TEXT,
        "price": st.none() | st.fixed_dictionaries({"currency": TEXT, "amount_minor": st.none() | st.integers()}),
        "tags": st.lists(TEXT, max_size=3),
        "said": st.dictionaries(TEXT, SAID, max_size=3),
        "share": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "on_sale": st.booleans(),
    }
)
ONE: Row = {
    "offer_id": "o-1",
    "price": {"currency": "EUR", "amount_minor": 399},
    "tags": ["a", "b,c"],
    "said": {"b": 1},
    "share": None,
    "on_sale": True,
}


def read(text: bytes) -> list[list[str]]:
    return list(csv.reader(StringIO(text.decode(), newline=""), strict=True))


@given(rows=st.lists(OFFERS, max_size=4))
def test_csv_read_back_has_the_cells_of_json(rows: list[Row]) -> None:
    written = Csv(COLUMNS)
    header, *lines = read(written.header() + written.lines(rows))
    assert header == [".".join(path) for path in COLUMNS]
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        for cell, value in zip(line, (value_at(row, path) for path in COLUMNS), strict=True):
            match value:
                case None:
                    assert cell == ""
                case str():
                    assert text_of(cell) == value
                case _:
                    assert json.loads(cell) == value


@given(rows=st.lists(OFFERS, max_size=4))
def test_json_lines_read_back_are_the_rows(rows: list[Row]) -> None:
    lines = JsonLines().lines(rows).splitlines()  # of bytes: only where a line really ends
    assert [json.loads(line) for line in lines] == rows


@given(text=TEXT)
@example("=HYPERLINK(1)")
def test_no_text_begins_a_formula_and_every_text_can_be_read_back(text: str) -> None:
    cell = cell_of(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    assert text_of(cell) == text


def test_an_apostrophe_alone_is_left_as_it_is() -> None:
    assert cell_of("'Til Morning") == "'Til Morning" and not FORMULA.match("'Til Morning")


def test_a_negative_number_is_no_text() -> None:
    assert cell_of(-5) == "-5"


def test_csv_is_written_by_rfc_4180() -> None:
    table = Csv(COLUMNS)
    assert (table.header() + table.lines([ONE])).decode() == (
        "offer_id,price.currency,price.amount_minor,tags,said,share,on_sale\r\n"
        'o-1,EUR,399,"[""a"",""b,c""]","{""b"":1}",,true\r\n'
    )


@pytest.mark.parametrize("price", [None, {"currency": "EUR", "amount_minor": None}])
def test_what_is_null_is_an_empty_cell_with_all_that_is_in_it(price: JsonValue) -> None:
    [_, line] = read(Csv(COLUMNS).header() + Csv(COLUMNS).lines([{**ONE, "price": price}]))
    assert line[2] == "" and len(line) == len(COLUMNS)


def test_a_file_that_was_cut_says_so_in_its_last_line() -> None:
    problem = Problem(EXPORT_CUT, "only 2 rows; go on with cursor=abc", "/v1/offers", {"next_cursor": "abc"})
    [last] = read(Csv(COLUMNS).cut(problem))
    assert last == ["# export-cut: only 2 rows; go on with cursor=abc", *[""] * (len(COLUMNS) - 1)]
    said = json.loads(JsonLines().cut(problem))
    assert said["problem"]["next_cursor"] == "abc" and said["problem"]["status"] == 422


def test_lines_have_the_columns_that_were_asked_for_in_that_order() -> None:
    columns = chosen(COLUMNS, ["price", "offer_id", "price.currency"])
    assert read(Csv(columns).header() + Csv(columns).lines([ONE])) == [
        ["price.currency", "price.amount_minor", "offer_id"],
        ["EUR", "399", "o-1"],
    ]
    assert json.loads(JsonLines(columns).lines([ONE])) == {"price": ONE["price"], "offer_id": "o-1"}
