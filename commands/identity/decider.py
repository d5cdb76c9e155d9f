"""What an account allows: pure, and on one screen."""

from datetime import datetime
from typing import Final, assert_never

from commands.decider import Decider
from commands.identity import accounts, profiles, sign_ins
from commands.identity import commands as c
from commands.identity.refusals import AccountIsWithdrawn, AccountUnknown
from commands.identity.state import NOBODY, AccountState, evolve
from events.envelope import Event


def decide(command: c.AccountCommand, state: AccountState, now: datetime) -> list[Event]:  # noqa: PLR0911, PLR0912
    """The events that a command leads to. Raises a Refusal of this context."""
    if isinstance(command, c.RegisterAccount):
        return accounts.register(command, state)
    if state.withdrawn:
        if isinstance(command, c.WithdrawAccount):
            return []
        if isinstance(command, c.ErasePerson):
            return accounts.erase(command, state)
        raise AccountIsWithdrawn("the account was closed for good; register another")
    if state.account_id is None:
        raise AccountUnknown("no such account was registered")
    match command:
        case c.ChangeEmail():
            return accounts.change_email(command, state)
        case c.ChangePassword():
            return accounts.change_password(command, state)
        case c.WithdrawAccount():
            return accounts.withdraw(command, state)
        case c.ErasePerson():
            return accounts.erase(command, state)
        case c.GrantRole():
            return accounts.grant(command, state)
        case c.RevokeRole():
            return accounts.revoke(command, state)
        case c.SignIn():
            return sign_ins.sign_in(command, state)
        case c.SignOut():
            return sign_ins.sign_out(command, state)
        case c.SignOutEverywhere():
            return sign_ins.signed_out(state, "everywhere", kept=command.kept)
        case c.RenameDevice():
            return sign_ins.rename_device(command, state)
        case c.RemoveDevice():
            return sign_ins.remove_device(command, state)
        case c.CreateProfile():
            return profiles.create(command, state)
        case c.ChangeProfile():
            return profiles.change(command, state)
        case c.ChangePreferences():
            return profiles.change_preferences(command, state)
        case c.SetPin():
            return profiles.set_pin(command, state)
        case c.RemovePin():
            return profiles.remove_pin(command, state)
        case c.DeleteProfile():
            return profiles.delete(command, state)
        case _:
            assert_never(command)


ACCOUNT: Final = Decider[c.AccountCommand, AccountState](NOBODY, decide, evolve, snapshots=True)
