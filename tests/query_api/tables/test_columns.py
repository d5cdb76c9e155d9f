"""The closed list of a table's fields, and what is left of a row."""

from datetime import datetime
from enum import StrEnum

import pytest
from pydantic import BaseModel, Field, JsonValue

from query_api.tables.columns import chosen, columns_of, names_of, projected, value_at


class By(StrEnum):
    CDN = "cdn"
    COUNTRY = "country"


class Money(BaseModel):
    amount_minor: int
    currency: str


class Plan(BaseModel):
    price: Money
    old_price: Money | None


class Row(BaseModel):
    begin: datetime = Field(serialization_alias="from")
    plan: Plan | None
    group: dict[By, str | None]
    data: dict[str, JsonValue]
    lines: list[Money]


COLUMNS = columns_of(Row)
PLAN: dict[str, JsonValue] = {"price": {"amount_minor": 5, "currency": "EUR"}, "old_price": None}
ROW: dict[str, JsonValue] = {
    "from": "2026-01-01T00:00:00Z",
    "plan": PLAN,
    "group": {"cdn": "a"},
    "data": {},
    "lines": [],
}


def test_nested_fields_have_dotted_names_and_lists_are_one_field() -> None:
    assert [".".join(path) for path in COLUMNS] == [
        "from",
        "plan.price.amount_minor",
        "plan.price.currency",
        "plan.old_price.amount_minor",
        "plan.old_price.currency",
        "group.cdn",
        "group.country",
        "data",
        "lines",
    ]


def test_what_holds_fields_may_be_asked_for_as_a_whole() -> None:
    names = names_of(COLUMNS)
    assert {"plan", "plan.price", "plan.price.currency", "group"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["from"], {"from": ROW["from"]}),
        (["plan.price.currency"], {"plan": {"price": {"currency": "EUR"}}}),
        (["plan"], {"plan": PLAN}),
        (["plan.old_price.currency"], {"plan": {"old_price": None}}),
        (["group"], {"group": {"cdn": "a"}}),
        (["lines", "from", "lines"], {"lines": [], "from": ROW["from"]}),
        (names_of(COLUMNS), ROW),
    ],
)
def test_a_row_keeps_what_is_asked_for(names: list[str], kept: dict[str, JsonValue]) -> None:
    assert projected(ROW, chosen(COLUMNS, names)) == kept


def test_what_is_in_nothing_is_nothing() -> None:
    row = {**ROW, "plan": None}
    assert value_at(row, ("plan", "price", "currency")) is None
    assert projected(row, chosen(COLUMNS, ["plan.price.currency", "plan.old_price"])) == {"plan": None}
