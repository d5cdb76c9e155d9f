"""Whether a profile may play a title now, and in how many streams at a time: decided from read models, so by what was
so a moment ago.
"""

from dataclasses import dataclass

from commands.dependencies import Resources
from commands.playback.refusals import DeviceNotYours, PinRequired
from commands.playback.titles import rated_title
from events.playback import EntitledBy, TitleSnapshot
from events.types import TitleId
from infra.access.permissions import Principal


@dataclass(frozen=True)
class Admission:
    """A title that may be played. `max_streams`: how many the account may play at a time; None: any number."""

    title: TitleSnapshot
    max_streams: int | None = None
    territory: str | None = None
    entitled_by: EntitledBy | None = None


async def admit(opened: Resources, title_id: TitleId, device_id: str, caller: Principal) -> Admission:
    """Let a caller play a title on a device. Raises DeviceNotYours, TitleUnknown, TitleNotPlayable, PinRequired."""
    _check_device(opened, device_id, caller)
    return Admission(await _title(opened, title_id, caller))


def _check_device(opened: Resources, device_id: str, caller: Principal) -> None:
    """Raises DeviceNotYours. A token that is bound to no device, as those of `playhead token`, may name any."""
    if caller.device_id not in (None, device_id):
        raise DeviceNotYours(
            f"the access token is for device {caller.device_id}; send that as device_id, or sign in on this device",
            members={"device_id": caller.device_id},
        )
    if opened.revocations.has_device(device_id):
        raise DeviceNotYours("the device was removed from its account; sign in on it again")


async def _title(opened: Resources, title_id: TitleId, caller: Principal) -> TitleSnapshot:
    title = await rated_title(opened.pool, title_id)
    if not title.is_within(caller.maturity_limit):
        unlock = f"/v1/accounts/{caller.account_id}/profiles/{caller.profile_id}/unlock"
        raise PinRequired(
            f"the title is above the profile's maturity limit; POST the profile's PIN to {unlock}, and start with the"
            " token of that reply",
            members={
                "minimum_age": title.minimum_age,
                "maturity_limit": caller.maturity_limit,
                "unlock": unlock,
            },
        )
    return title.snapshot
