"""Moments that requests name."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from infra.moments import Moment

MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


def test_a_moment_is_in_utc_whatever_zone_it_was_given_in() -> None:
    given = MOMENT.validate_python("2026-11-21T21:00:00+09:00")
    assert (given, given.tzinfo) == (datetime(2026, 11, 21, 12, 0, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    "given", ["2026-11-21T21:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday"]
)
def test_a_moment_that_is_naive_or_of_no_year_is_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(given)
