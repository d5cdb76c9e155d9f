"""What is known of a title, held against what was asked: the refusals that come before anybody's entitlement. Pure, so
that an audit answers by it too (audits/as_of).
"""

from dataclasses import dataclass

from commands.playback.admission.facts import Facts, GroupOfTitles
from commands.playback.refusals import (
    LocationUnknown,
    PinRequired,
    TitleNotAvailable,
    TitleNotPlayable,
    TitleUnknown,
)
from events.types import TitleId
from infra.access.permissions import Principal


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be played, on which device, by whom, and where they are; None: nobody can tell. `offline`: it is to be
    downloaded."""

    title_id: TitleId
    device_id: str
    caller: Principal
    territory: str | None
    offline: bool = False


def checked(found: Facts | GroupOfTitles | None, asked: Asked) -> Facts:
    """The facts of a title that is there, available and within the profile's limit, or the first refusal. Raises
    TitleUnknown, TitleNotPlayable, LocationUnknown, TitleNotAvailable, PinRequired.
    """
    match found:
        case None:
            raise TitleUnknown(f"no title {asked.title_id} was published (a new one is visible after a moment)")
        case GroupOfTitles(kind):
            raise TitleNotPlayable(
                f"{asked.title_id} is a {kind}, which is not played itself: start an episode or a film"
            )
        case Facts():
            _check_available(found, asked)
            _check_rating(found, asked.caller)
            return found


def _check_available(facts: Facts, asked: Asked) -> None:
    if asked.territory is None:
        raise LocationUnknown(
            "titles are licensed by territory, and nothing says where this request comes from: leave a VPN; the"
            " installation's PLAYHEAD_TERRITORY_HEADER or PLAYHEAD_DEFAULT_TERRITORY says it"
        )
    if facts.licences:
        return
    when = f"it can be from {facts.opens_at.isoformat()}" if facts.opens_at else "no time is known when it can be"
    raise TitleNotAvailable(
        f"{asked.title_id} cannot be played in {asked.territory} now; {when}",
        members={"territory": asked.territory, "opens_at": facts.opens_at},
    )


def _check_rating(facts: Facts, caller: Principal) -> None:
    if facts.is_within(caller.maturity_limit):
        return
    unlock = f"/v1/accounts/{caller.account_id}/profiles/{caller.profile_id}/unlock"
    raise PinRequired(
        f"the title is above the profile's maturity limit; POST the profile's PIN to {unlock}, and start with the"
        " token of that reply",
        members={
            "minimum_age": facts.minimum_age,
            "maturity_limit": caller.maturity_limit,
            "unlock": unlock,
        },
    )
