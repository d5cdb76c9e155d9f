"""The life of an account, and the roles of its owner: pure."""

from commands.identity.commands import (
    ChangeEmail,
    ChangePassword,
    ErasePerson,
    GrantRole,
    RegisterAccount,
    RevokeRole,
    WithdrawAccount,
)
from commands.identity.refusals import AccountExists, RoleForOneself
from commands.identity.sign_ins import signed_out
from commands.identity.state import AccountState
from events.envelope import Event
from events.identity import (
    AccountRegistered,
    AccountWithdrawn,
    DeviceRemoved,
    EmailChanged,
    PasswordChanged,
    PersonErased,
    RoleGranted,
    RoleRevoked,
)


def register(command: RegisterAccount, state: AccountState) -> list[Event]:
    """Raises AccountExists."""
    registered = AccountRegistered(account_id=command.account_id, email=command.email)
    if state.account_id is None:
        return [registered]
    if (state.account_id, state.email) == (command.account_id, command.email):
        return []
    raise AccountExists(f"account {command.account_id} was registered before")


def change_email(command: ChangeEmail, state: AccountState) -> list[Event]:
    """Ignored for the address that it is."""
    if command.email == state.email:
        return []
    return [EmailChanged(account_id=state.registered_id, email=command.email)]


def change_password(command: ChangePassword, state: AccountState) -> list[Event]:
    """Whoever knew the old password is signed out."""
    ended = signed_out(state, "password_changed", kept=command.kept)
    return [PasswordChanged(account_id=state.registered_id, method=command.method), *ended]


def withdraw(command: WithdrawAccount, state: AccountState) -> list[Event]:
    """Whoever leaves is erased: it is their request."""
    return erase(ErasePerson(ground="request", key_fingerprint=command.key_fingerprint), state)


def erase(command: ErasePerson, state: AccountState) -> list[Event]:
    """The account ends with its person. Of one that was withdrawn before there were certificates, the certificate is
    made up for. Ignored for who is erased."""
    if state.erased:
        return []
    certificate = PersonErased(
        account_id=state.registered_id,
        ground=command.ground,
        sealed_events=state.sealed_events,
        key_fingerprint=command.key_fingerprint,
        reference=command.reference,
    )
    return [certificate] if state.withdrawn else [*_ended(state), certificate]


def _ended(state: AccountState) -> list[Event]:
    """Every sign-in ends with the account, and every running stream with its device."""
    account_id = state.registered_id
    removed = [DeviceRemoved(account_id=account_id, device_id=device_id) for device_id in state.devices]
    return [*signed_out(state, "withdrawn"), *removed, AccountWithdrawn(account_id=account_id)]


def grant(command: GrantRole, state: AccountState) -> list[Event]:
    """Raises RoleForOneself."""
    if command.by == state.account_id:
        raise RoleForOneself("ask another member of staff to grant you the role")
    if command.role in state.roles:
        return []
    return [RoleGranted(account_id=state.registered_id, role=command.role)]


def revoke(command: RevokeRole, state: AccountState) -> list[Event]:
    """Ignored for a role that the owner does not have."""
    if command.role not in state.roles:
        return []
    return [RoleRevoked(account_id=state.registered_id, role=command.role)]
