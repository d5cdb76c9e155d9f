"""Sign-ins in Postgres: where an account is signed in, and where it was."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.identity import SignedIn, SignedOut, SignInMethod, SignOutReason
from events.topics import IDENTITY
from projections.views import KeyedView


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `ended_at`: None while it lasts, or was not used for so long that its refresh tokens ran out."""

    sign_in_id: str
    account_id: str
    device_id: str
    method: SignInMethod
    signed_in_at: datetime
    ended_at: datetime | None = None
    end_reason: SignOutReason | None = None


class SignIns(KeyedView[SignIn, str]):
    """One row a sign-in, kept when it ended."""

    name = "identity_sign_ins"
    row = SignIn
    topics = (IDENTITY,)
    events = (SignedIn, SignedOut)

    def key(self, recorded: Recorded[Event]) -> str:
        """The sign-in."""
        assert isinstance(recorded.data, SignedIn | SignedOut)
        return recorded.data.sign_in_id

    def project(self, row: SignIn | None, recorded: Recorded[Event]) -> SignIn | None:
        """The sign-in when it began, or ended."""
        at = recorded.envelope.time
        match recorded.data:
            case SignedIn() as event:
                return SignIn(
                    sign_in_id=event.sign_in_id,
                    account_id=event.account_id,
                    device_id=event.device_id,
                    method=event.method,
                    signed_in_at=at,
                )
            case SignedOut(reason=reason) if row is not None:
                return replace(row, ended_at=at, end_reason=reason)
            case _:
                return row
