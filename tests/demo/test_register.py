"""The register follows what the API acknowledged: which sign-ins last, and why the others do not."""

from typing import cast

import msgspec

from infra.positions import Position
from playhead.demo.api import Reply
from playhead.demo.ledger import Ledger
from playhead.demo.people.register import AccountRow, DeviceRow, Register, SignInRow, StaffAction
from playhead.demo.people.signing import SignIn

LAPTOP = DeviceRow("ada", "Laptop", "web")


def reply(version: int = 1, **body: object) -> Reply:
    position = Position("identity.events", 0, version)
    return Reply(200, msgspec.json.encode({"version": version, **body}), (position,), 0.0, version=version)


def signed_in(register: Register, sign_in_id: str, device_id: str = "laptop", version: int = 1) -> None:
    register.signed_in(reply(version, sign_in_id=sign_in_id, device_id=device_id), LAPTOP, "password")


def test_a_sign_in_on_a_device_replaces_the_one_that_was_there() -> None:
    register = Register(Ledger())
    signed_in(register, "one")
    signed_in(register, "other", "desk")
    signed_in(register, "two", version=7)
    assert register.sign_ins == {
        "one": SignInRow("ada", "laptop", "password", "replaced"),
        "other": SignInRow("ada", "desk", "password"),
        "two": SignInRow("ada", "laptop", "password"),
    }
    assert register.devices.keys() == {"laptop", "desk"}
    assert register.versions == {"ada": 7}


def test_a_sign_in_ends_once_whatever_comes_later() -> None:
    register = Register(Ledger())
    signed_in(register, "one")
    register.ended(["one"], "refresh_token_reused")
    signed_in(register, "two")
    register.removed("laptop")
    assert [row.ended for row in register.sign_ins.values()] == ["refresh_token_reused", "device_removed"]
    assert register.devices == {}


def test_roles_are_kept_in_the_order_that_the_api_shows_them_in() -> None:
    register = Register(Ledger())
    register.registered("ada", "ada@home.example")
    for role in ("operator", "billing", "operator"):
        register.granted("ada", role)
    assert register.accounts == {"ada": AccountRow("ada@home.example", ("billing", "operator"))}


def test_what_staff_did_is_numbered_as_in_its_stream_and_its_position_is_waited_for() -> None:
    register, ada = Register(Ledger()), cast(SignIn, Clerk())
    register.done_by_staff(ada, reply(3, id="film", events=["TitleDrafted", "TitlePublished"]))
    register.done_by_staff(ada, reply(9, id="episode", events=["TitlePublished"]), "series")
    register.done_by_staff(ada, reply(9, id="film", events=[]))
    assert register.staff_actions == {
        "film #2 TitleDrafted": StaffAction("ada", "192.0.2.1"),
        "film #3 TitlePublished": StaffAction("ada", "192.0.2.1"),
        "series #9 TitlePublished": StaffAction("ada", "192.0.2.1"),
    }
    assert list(register.ledger.positions.values()) == [Position("identity.events", 0, 9)]


class Clerk:
    account_id = "ada"
    address = "192.0.2.1"
