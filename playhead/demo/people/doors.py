"""How to sign in as each kind of person, once the evening is over and everything was left running."""

from collections.abc import Iterator

import msgspec

from playhead.console import say
from playhead.demo.house import House
from playhead.demo.people.person import Person
from playhead.demo.people.staff import DESK, Member
from playhead.processes import COMMANDS, Fleet


def show_doors(fleet: Fleet, house: House) -> None:
    """A request for each, on the device that they have, so that it can be repeated."""
    viewer = house.cast.viewers[0]
    say("\nTo sign in; the reply has an access_token, which goes into `Authorization: Bearer` for ten minutes:")
    for line in [*_as_viewer(fleet, viewer), *_as_staff(fleet, house)]:
        say(line)


def _as_viewer(fleet: Fleet, viewer: Person) -> Iterator[str]:
    yield from _door(fleet, "viewer", Member(viewer.who.email, viewer.who.password, viewer.phone.device_id))
    profile = f"/v1/accounts/{viewer.account_id}/profiles/{viewer.profile_id}"
    yield f"    and to watch as {viewer.name}, with the token of that reply: POST {profile}/choose"


def _as_staff(fleet: Fleet, house: House) -> Iterator[str]:
    for role, member in house.staff.members.items():
        yield from _door(fleet, role, member)


def _door(fleet: Fleet, who: str, member: Member) -> Iterator[str]:
    device = {"device_id": member.device_id, "name": DESK.name, "type": DESK.type}
    body = msgspec.json.encode({"email": member.email, "password": member.password, "device": device}).decode()
    yield f"  {who}: {member.email}, password {member.password}"
    yield f"    curl {fleet.url(COMMANDS)}/v1/sign-in -H 'Content-Type: application/json' -d '{body}'"
