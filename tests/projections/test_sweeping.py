"""Which rows are not kept, and that none goes while it may change."""

import pytest
from pydantic import ValidationError

from infra.settings import Settings
from projections.app import postgres_views, redis_views
from projections.sweeping import Sweeper
from projections.views import AggregateView

SETTINGS = Settings()
AGGREGATES = [view for view in postgres_views(SETTINGS) if isinstance(view, AggregateView)]


@pytest.mark.parametrize("name", ["minutes_kept_days", "hours_kept_days"])
def test_rows_are_kept_for_as_long_as_players_may_report(name: str) -> None:
    with pytest.raises(ValidationError, match="players may report for 50 days"):
        Settings.model_validate({"download_token_ttl_days": 50, name: 50})
    with pytest.raises(ValidationError, match="players may report for 900 days"):
        Settings(download_token_ttl_days=900)
    assert Settings.model_validate({"download_token_ttl_days": 50, "minutes_kept_days": 51, name: 51})


def test_what_is_added_up_by_the_minute_or_the_hour_passes_and_nothing_else() -> None:
    kept_days = {view.name: view.kept_for and view.kept_for.days for view in AGGREGATES}
    by_time = {name: days for name, days in kept_days.items() if name.endswith(("_by_minute", "_by_hour"))}
    assert by_time == {name: 35 if "minute" in name else 800 for name in by_time}
    assert {name for name, days in kept_days.items() if days is not None} == set(by_time)


def test_what_passes_does_so_by_a_field_of_its_row() -> None:
    assert {
        view.name for view in AGGREGATES if view.kept_for and view.passing not in view.row.__struct_fields__
    } == set()


async def test_a_worker_of_views_that_all_stay_has_nothing_to_sweep() -> None:
    await Sweeper(redis_views(SETTINGS), SETTINGS).run()
