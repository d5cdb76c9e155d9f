"""Who may read what."""

import pytest

from infra.access.permissions import Principal
from query_api.authorization import (
    NotYourProfile,
    SessionNotYours,
    check_profile,
    check_session,
)

VIEWER = Principal(subject="viewer", account_id="household-1", profile_id="viewer-1")
SAME_HOUSEHOLD = Principal(subject="viewer", account_id="household-1", profile_id="viewer-2")
SERVICE = Principal(subject="a service")
OPERATOR = Principal(subject="operations", roles=("operator",))
ANALYST = Principal(subject="research", roles=("analyst",))


@pytest.mark.parametrize("reader", [VIEWER, OPERATOR, ANALYST])
def test_a_profile_is_read_by_its_viewer_and_by_those_who_see_all(reader: Principal) -> None:
    check_profile(reader, "viewer-1")
    check_session(reader, "viewer-1")


@pytest.mark.parametrize("reader", [SAME_HOUSEHOLD, SERVICE])
def test_a_profile_is_not_read_by_others(reader: Principal) -> None:
    with pytest.raises(NotYourProfile):
        check_profile(reader, "viewer-1")
    with pytest.raises(SessionNotYours):
        check_session(reader, "viewer-1")
