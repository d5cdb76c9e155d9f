"""The life of an account and the roles of its owner: every command in every state."""

from typing import Any, Final, get_args

import pytest

from commands.identity import commands as c
from commands.identity import refusals as r
from events.identity import (
    AccountRegistered,
    AccountWithdrawn,
    DeviceRemoved,
    EmailChanged,
    PasswordChanged,
    PersonErased,
    Role,
    RoleGranted,
    RoleRevoked,
    SignedOut,
    SignOutReason,
)
from events.refusals import Refusal
from tests.commands.identity.histories import (
    ANOTHER_EMAIL,
    AT_HOME,
    ERASED,
    ME,
    MY_EMAIL,
    ON_PHONE,
    ON_TV,
    PHONE,
    REGISTERED,
    TV,
    WITHDRAWN,
    account,
    erased,
    granted,
)

IGNORED: Final[list[str]] = []
Ending = list[str] | type[Refusal]

STATES: Final[dict[str, tuple[Any, ...]]] = {
    "not registered": (),
    "registered": REGISTERED,
    "signed in": AT_HOME,
    "editor": (*REGISTERED, granted(Role.EDITOR)),
    "withdrawn": WITHDRAWN,
    "erased": ERASED,
}
COMMANDS: Final[dict[str, c.AccountLifeCommand]] = {
    "RegisterAccount": c.RegisterAccount(account_id=ME, email=MY_EMAIL),
    "RegisterAccount with another address": c.RegisterAccount(account_id=ME, email=ANOTHER_EMAIL),
    "ChangeEmail": c.ChangeEmail(email=ANOTHER_EMAIL),
    "ChangeEmail to the same": c.ChangeEmail(email=MY_EMAIL),
    "ChangePassword": c.ChangePassword(method="changed"),
    "ChangePassword and stay": c.ChangePassword(method="changed", kept=ON_PHONE),
    "WithdrawAccount": c.WithdrawAccount(),
    "ErasePerson": c.ErasePerson(ground="order", key_fingerprint="f1", reference="case 7"),
    "GrantRole": c.GrantRole(role=Role.EDITOR),
    "GrantRole to oneself": c.GrantRole(role=Role.EDITOR, by=ME),
    "RevokeRole": c.RevokeRole(role=Role.EDITOR),
}


def row(registered: Ending, *, unknown: Ending = r.AccountUnknown, **others: Ending) -> dict[str, Ending]:
    """What a command leads to in each state; where it is not said, as for any registered account."""
    return {
        "not registered": unknown,
        "registered": registered,
        "signed in": others.get("signed_in", registered),
        "editor": others.get("editor", registered),
        "withdrawn": others.get("withdrawn", r.AccountIsWithdrawn),
        "erased": others.get("erased", others.get("withdrawn", r.AccountIsWithdrawn)),
    }


TABLE: Final[dict[str, dict[str, Ending]]] = {
    "RegisterAccount": row(IGNORED, unknown=["AccountRegistered"], withdrawn=r.AccountExists),
    "RegisterAccount with another address": row(
        r.AccountExists, unknown=["AccountRegistered"], withdrawn=r.AccountExists
    ),
    "ChangeEmail": row(["EmailChanged"]),
    "ChangeEmail to the same": row(IGNORED),
    "ChangePassword": row(["PasswordChanged"], signed_in=["PasswordChanged", "SignedOut", "SignedOut"]),
    "ChangePassword and stay": row(["PasswordChanged"], signed_in=["PasswordChanged", "SignedOut"]),
    "WithdrawAccount": row(
        ["AccountWithdrawn", "PersonErased"],
        signed_in=["SignedOut", "SignedOut", "DeviceRemoved", "DeviceRemoved", "AccountWithdrawn", "PersonErased"],
        withdrawn=IGNORED,
    ),
    "ErasePerson": row(
        ["AccountWithdrawn", "PersonErased"],
        signed_in=["SignedOut", "SignedOut", "DeviceRemoved", "DeviceRemoved", "AccountWithdrawn", "PersonErased"],
        withdrawn=["PersonErased"],
        erased=IGNORED,
    ),
    "GrantRole": row(["RoleGranted"], editor=IGNORED),
    "GrantRole to oneself": row(r.RoleForOneself),
    "RevokeRole": row(IGNORED, editor=["RoleRevoked"]),
}
ENDINGS: Final = [(state, name, ending) for name, endings in TABLE.items() for state, ending in endings.items()]


@pytest.mark.parametrize(
    ("state", "name", "ending"), ENDINGS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_command_in_a_state(state: str, name: str, ending: Ending) -> None:
    decided = account.given(*STATES[state]).when(COMMANDS[name])
    if isinstance(ending, list):
        assert [type(event).__name__ for event in decided.decided()] == ending
    else:
        decided.refused(ending)


def test_no_command_and_no_state_is_missing() -> None:
    assert {type(command) for command in COMMANDS.values()} == set(get_args(c.AccountLifeCommand))
    assert TABLE.keys() == COMMANDS.keys()
    assert all(endings.keys() == STATES.keys() for endings in TABLE.values())


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"ChangePassword", "ChangePassword and stay"}))
@pytest.mark.parametrize("state", STATES)
def test_a_command_given_twice_is_recorded_once(state: str, name: str) -> None:
    if not isinstance(TABLE[name][state], list):
        return
    history = STATES[state]
    once = account.given(*history).when(COMMANDS[name]).decided()
    account.given(*history, *once).when(COMMANDS[name]).ignored()


def out(reason: SignOutReason, *, of: bool = True) -> SignedOut:
    """The end of the sign-in on the television, or of that on the phone."""
    sign_in_id, device_id = (ON_TV, TV) if of else (ON_PHONE, PHONE)
    return SignedOut(account_id=ME, sign_in_id=sign_in_id, device_id=device_id, reason=reason)


def test_an_account_begins_with_its_address() -> None:
    expected = AccountRegistered(account_id=ME, email=MY_EMAIL)
    account.given().when(c.RegisterAccount(account_id=ME, email=MY_EMAIL)).then(expected)


def test_another_address_keeps_every_sign_in() -> None:
    account.given(*AT_HOME).when(c.ChangeEmail(email=ANOTHER_EMAIL)).then(
        EmailChanged(account_id=ME, email=ANOTHER_EMAIL)
    )


def test_an_address_can_be_changed_back() -> None:
    changed = EmailChanged(account_id=ME, email=ANOTHER_EMAIL)
    account.given(*REGISTERED, changed).when(c.ChangeEmail(email=MY_EMAIL)).then(
        EmailChanged(account_id=ME, email=MY_EMAIL)
    )


def test_a_changed_password_ends_every_sign_in_but_the_callers() -> None:
    account.given(*AT_HOME).when(c.ChangePassword(method="changed", kept=ON_PHONE)).then(
        PasswordChanged(account_id=ME, method="changed"), out("password_changed")
    )


def test_a_reset_password_ends_every_sign_in() -> None:
    account.given(*AT_HOME).when(c.ChangePassword(method="reset")).then(
        PasswordChanged(account_id=ME, method="reset"),
        out("password_changed"),
        out("password_changed", of=False),
    )


def test_a_withdrawal_ends_every_sign_in_and_the_streams_of_every_device_and_erases_the_person() -> None:
    account.given(*AT_HOME).when(c.WithdrawAccount(key_fingerprint="f1")).then(
        out("withdrawn"),
        out("withdrawn", of=False),
        DeviceRemoved(account_id=ME, device_id=TV),
        DeviceRemoved(account_id=ME, device_id=PHONE),
        AccountWithdrawn(account_id=ME),
        PersonErased(account_id=ME, ground="request", sealed_events=3, key_fingerprint="f1"),
    )


def test_an_erasure_by_staff_says_on_what_ground_and_for_which_case() -> None:
    erase = c.ErasePerson(ground="order", key_fingerprint="f1", reference="case 7")
    account.given(*REGISTERED).when(erase).then(
        AccountWithdrawn(account_id=ME),
        PersonErased(account_id=ME, ground="order", sealed_events=1, key_fingerprint="f1", reference="case 7"),
    )


def test_who_was_withdrawn_before_there_were_certificates_gets_one() -> None:
    account.given(*AT_HOME, AccountWithdrawn(account_id=ME)).when(c.ErasePerson(ground="retention")).then(
        erased(sealed_events=3, ground="retention")
    )


def test_events_that_hold_sealed_values_are_counted_also_after_they_were_forgotten() -> None:
    changed = EmailChanged(account_id=ME, email=ANOTHER_EMAIL)
    state = account.decider.state_after([*AT_HOME, changed, *WITHDRAWN[1:]], account.decider.initial)
    assert state.sealed_events == 4


def test_a_withdrawn_account_has_nothing_left() -> None:
    withdrawn = [*AT_HOME, granted(), AccountWithdrawn(account_id=ME)]
    state = account.decider.state_after(withdrawn, account.decider.initial)
    assert (state.email, state.roles, state.devices, state.sign_ins, state.profiles) == (None, frozenset(), {}, {}, {})


@pytest.mark.parametrize("role", Role)
def test_staff_grant_and_revoke_each_role(role: Role) -> None:
    grant = RoleGranted(account_id=ME, role=role)
    account.given(*REGISTERED).when(c.GrantRole(role=role)).then(grant)
    account.given(*REGISTERED, grant).when(c.RevokeRole(role=role)).then(RoleRevoked(account_id=ME, role=role))


def test_a_role_can_be_granted_again_after_it_was_revoked() -> None:
    history = (*REGISTERED, granted(), RoleRevoked(account_id=ME, role=Role.EDITOR))
    account.given(*history).when(c.GrantRole(role=Role.EDITOR)).then(granted())


def test_one_role_says_nothing_of_another() -> None:
    account.given(*REGISTERED, granted(Role.EDITOR)).when(c.RevokeRole(role=Role.OPERATOR)).ignored()
