"""Admits a start, or refuses it by the first of: the device, the title, the territory and its windows, the rating, the
entitlement. How many streams run is counted where leases are; how many may is said here.
"""

from dataclasses import dataclass, replace

from prometheus_client import Counter

from commands.dependencies import Resources
from commands.playback.admission.checking import Asked, checked
from commands.playback.admission.entitling import entitlement_of, not_entitled
from commands.playback.admission.facts import Facts, facts_of
from commands.playback.refusals import DeviceNotYours, DownloadsNotAllowed, NotEntitled, ProfileRequired
from events.envelope import Context
from events.playback import EntitledBy, TitleSnapshot
from events.subscription import Resolution
from events.types import AccountId, PurchaseId, TitleId
from infra.access.permissions import Principal
from infra.entitlement import Entitlement, Held
from infra.settings import Settings

AHEAD_OF_VIEWS = Counter("playhead_admissions_ahead_of_views_total", "Starts granted by what no view had applied yet")


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A title that may be played, in which territory and by what. `max_streams`: how many the account may play at a
    time; None: any number. `max_resolution`: the best that the plan shows; None: as good as it comes. `downloads`: how
    many titles the account may keep on devices. `rental`: one whose hours this play begins.
    """

    title: TitleSnapshot
    territory: str | None = None
    entitled_by: EntitledBy | None = None
    max_streams: int | None = None
    max_resolution: Resolution | None = None
    downloads: int = 0
    rental: PurchaseId | None = None


async def admit(opened: Resources, asked: Asked) -> Admission:
    """Let a caller play a title. Raises ProfileRequired, DeviceNotYours, TitleUnknown, TitleNotPlayable,
    LocationUnknown, TitleNotAvailable, PinRequired, NotEntitled, DownloadsNotAllowed.
    """
    account_id = _account_of(asked.caller)
    _check_device(opened, asked.device_id, asked.caller)
    found = await facts_of(
        opened.pool, asked.title_id, territory=asked.territory, now=opened.clock(), account_id=account_id
    )
    facts, entitled = await _entitled(opened, checked(found, asked), account_id)
    admission = _admission(facts, entitled, opened.settings, asked.territory)
    if asked.offline and admission.downloads == 0:
        raise DownloadsNotAllowed("the account may keep no titles on devices: play it online, or take a larger plan")
    return admission


async def begin_rental(opened: Resources, admission: Admission, context: Context) -> None:
    """Begin the hours of a rental with its first play, before the viewer gets a token. As often as it is asked: it
    begins once. Raises NotEntitled when it cannot any more.
    """
    if admission.rental is None or await opened.on_first_play(admission.rental, context):
        return
    raise NotEntitled(
        f"the rental of {admission.title.title_id} has just ended or was refunded: rent it (POST /v1/purchases)",
        members={"actions": ["rent"]},
    )


def _account_of(caller: Principal) -> AccountId:
    if caller.profile_id is None or caller.account_id is None:
        raise ProfileRequired("ask for a token with an account and a profile: playhead token --profile ...")
    return AccountId(caller.account_id)


def _check_device(opened: Resources, device_id: str, caller: Principal) -> None:
    """Raises DeviceNotYours. A token that is bound to no device, as those of `playhead token`, may name any."""
    if caller.device_id not in (None, device_id):
        raise DeviceNotYours(
            f"the access token is for device {caller.device_id}; send that as device_id, or sign in on this device",
            members={"device_id": caller.device_id},
        )
    if opened.revocations.has_device(device_id):
        raise DeviceNotYours("the device was removed from its account; sign in on it again")


async def _entitled(opened: Resources, facts: Facts, account_id: AccountId) -> tuple[Facts, Entitlement]:
    """By what the account may play it, and the facts that say so. Who has just paid, while the views are late or down,
    is let in by the log, which is asked before anybody is refused. Raises NotEntitled."""
    required = opened.settings.subscription_required
    if entitled := entitlement_of(facts, subscription_required=required):
        return facts, entitled
    title = facts.title
    titles = {title.title_id} if title.series_id is None else {title.title_id, TitleId(title.series_id)}
    seen, late = facts.held, await opened.not_yet_seen(account_id, frozenset(titles))
    newer = replace(facts, held=Held(late.plan or seen.plan, late.purchase or seen.purchase))
    if entitled := entitlement_of(newer, subscription_required=required):
        AHEAD_OF_VIEWS.inc()
        return newer, entitled
    raise not_entitled(facts, account_id)


def _admission(facts: Facts, entitled: Entitlement, settings: Settings, territory: str | None) -> Admission:
    plan = facts.held.plan
    return Admission(
        title=facts.title,
        territory=territory,
        entitled_by=entitled.by,
        max_streams=plan.streams if plan else settings.streams_without_plan,
        max_resolution=plan.max_resolution if plan and entitled.by == "subscription" else None,
        downloads=plan.downloads if plan else settings.downloads_without_plan,
        rental=entitled.rental,
    )
