"""Every text in every event has been thought of: sealed, or known to be nothing personal, and why.

Who adds a field of text to an event finds it here, and seals it or says why not.
"""

import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Final, NewType, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from commands.identity.state import HOLD_SEALED
from events.envelope import Envelope
from events.identity import IdentityEvent
from events.playback import AnyReport
from events.registry import REGISTRY, members
from events.types import Sealed

IDS: Final = "names nobody by itself: whose it is stands in rows that are erased"
CATALOG: Final = "about a title and those who made it, and published"
OFFERS: Final = "about what is sold, not about who buys"
PROVIDER: Final = "the payment provider's word for its own record, which it must erase itself"
PLAYERS: Final = "what a kind of device or player is, as of thousands of others"
MACHINES: Final = "about Playhead's own running; the bytes of records in it are sealed as they were"
CODES: Final = "one of a closed list of words"
STAFF: Final = "what staff write on their own decisions; docs/security.md tells them to name nobody"

REPORTS: Final = get_args(AnyReport)
NOT_PERSONAL: Final = {
    "SeasonAdded.name": CATALOG,
    "SeasonRevised.name": CATALOG,
    "TitleRevised.changed": CATALOG,
    "TitleWithdrawn.reason": CODES,
    "Hint": PLAYERS,
    "Other": PLAYERS,
    "Record": PLAYERS,
    "PlaybackCmcdReported.target": CODES,
    "PlaybackCmcdRequested.target": CODES,
    "ApiKeyIssued": "of a server or a dashboard",
    "Device.model": PLAYERS,
    "Device.platform": PLAYERS,
    "Device.type": PLAYERS,
    "PersonErased.key_fingerprint": "tells nothing of the key, which is gone",
    "PersonErased.reference": STAFF,
    "Preferences": "languages",
    "Profile.avatar": "the id of one of our pictures",
    "Profile.language": "a language",
    "DeadLetterApplied": MACHINES,
    "DeadLetterDiscarded": STAFF,
    "DeadLetterRetried": MACHINES,
    "RecordDeadLettered": MACHINES,
    "ViewChangeCanceled": STAFF,
    "ViewChangeCompleted": MACHINES,
    "ViewChangeFailed": MACHINES,
    "ViewChangeRequested": STAFF,
    "DeviceSnapshot.app_version": PLAYERS,
    "DeviceSnapshot.model": PLAYERS,
    "DeviceSnapshot.os": PLAYERS,
    "DeviceSnapshot.platform": PLAYERS,
    "DeviceSnapshot.player": PLAYERS,
    "DeviceSnapshot.player_version": PLAYERS,
    "DeviceSnapshot.type": PLAYERS,
    **{f"{kind.__name__}.{name}": PLAYERS for kind in REPORTS for name in ("cdn", "cdn_edge", "drm", "rendition")},
    "Failed.code": PLAYERS,
    "Failed.message": PLAYERS,
    "PlaybackStarted.territory": "a country",
    "TerminatedBy.title_name": CATALOG,
    "TitleSnapshot": CATALOG,
    "CouponRedeemed.code": OFFERS,
    "CouponTerms.code": OFFERS,
    "CouponWithdrawn.code": OFFERS,
    "InvoiceLine.description": OFFERS,
    "Offer.title_name": CATALOG,
    "PaymentFailed.charge_id": PROVIDER,
    "PaymentFailed.code": PROVIDER,
    "PaymentFailed.provider_event_id": PROVIDER,
    "PaymentRequested.description": OFFERS,
    "PaymentRequested.idempotency_key": IDS,
    "PaymentSucceeded.charge_id": PROVIDER,
    "PaymentSucceeded.provider_event_id": PROVIDER,
    "PlanTerms.name": OFFERS,
    "PlanVersion.name": OFFERS,
    "RefundFailed": PROVIDER,
    "RefundIssued": PROVIDER,
    "RefundRequested.charge_id": PROVIDER,
    "RefundRequested.note": STAFF,
    "SubscriptionStarted.time_zone": "a zone of many countries' people",
    "Credit": CATALOG,
    "EpisodePlace": CATALOG,
    "Holdback": CATALOG,
    "Image": CATALOG,
    "LocalizedText": CATALOG,
    "Season": CATALOG,
    "TitleDetails": CATALOG,
    "Availability": CATALOG,
    "Maturity": CATALOG,
    "Money.currency": "a currency",
}
"""Texts that need no seal, by struct or by field."""
PERSONAL: Final = re.compile(r"e?mail|address|phone|birth|(?<!session_)ip$|note|comment|first_name|last_name|nick")
"""What is personal by its name, whatever a list says; notes of staff are not of the person."""
UNSEALED: Final = {"SubscriptionCanceled.reason"}
"""Personal, and not sealed: why somebody canceled, in their own words."""
OWN_WORDS: Final = {"RefundRequested.note"}


def texts(struct: type[Any], seen: set[type[Any]]) -> Iterator[tuple[str, object]]:
    """The fields of a struct, and of those in it, that hold text: "Struct.field", and the type of the text."""
    if struct in seen:
        return
    seen.add(struct)
    for generic in getattr(struct, "__orig_bases__", ()):  # of what a report is
        for argument in get_args(generic):
            if isinstance(argument, type):
                yield from texts(argument, seen)
    for name, hint in get_type_hints(struct, include_extras=True).items():
        for leaf in leaves(hint):
            if isinstance(leaf, type) and issubclass(leaf, msgspec.Struct):
                yield from texts(leaf, seen)
            elif is_text(leaf):
                yield f"{struct.__name__}.{name}", leaf


def leaves(hint: Any) -> Iterator[object]:
    """The types that a hint is made of."""
    origin = get_origin(hint)
    if origin is Annotated:
        yield from leaves(get_args(hint)[0])
    elif origin in (Union, types.UnionType, tuple, list, dict, frozenset):
        for argument in get_args(hint):
            yield from leaves(argument)
    else:
        yield hint


def is_text(leaf: object) -> bool:
    return leaf in (str, bytes, Any) or (isinstance(leaf, NewType) and leaf.__supertype__ is str)


def is_an_id(leaf: object) -> bool:
    return isinstance(leaf, NewType) and leaf.__name__.endswith("Id")


EVENTS: Final = list(REGISTRY.classes.values())
ALL: Final = sorted({found for event in EVENTS for found in texts(event, set())}, key=str)


@pytest.mark.parametrize("field", [field for field, leaf in ALL if not is_an_id(leaf) and leaf is not Sealed])
def test_a_text_that_is_not_sealed_is_nothing_personal(field: str) -> None:
    struct, _, name = field.partition(".")
    if field in UNSEALED:
        return
    assert field in NOT_PERSONAL or struct in NOT_PERSONAL, f"{field}: seal it, or say here why it needs no seal"
    assert not PERSONAL.search(name) or field in OWN_WORDS, f"{field} is personal by its name: seal it"


def test_the_list_holds_nothing_that_is_not_there() -> None:
    there = {field for field, _ in ALL} | {field.partition(".")[0] for field, _ in ALL}
    assert NOT_PERSONAL.keys() <= there


def test_what_is_sealed_is_known_to_be() -> None:
    assert {field for field, leaf in ALL if leaf is Sealed} == {
        "AccountRegistered.email",
        "Device.name",
        "DeviceRenamed.name",
        "DeviceSnapshot.name",
        "EmailChanged.email",
        "Profile.name",
        "TerminatedBy.device_name",
    }


def test_the_events_that_an_erasure_counts_are_those_of_an_account_that_hold_sealed_values() -> None:
    of_accounts = members(IdentityEvent)
    assert {each for each in of_accounts if any(leaf is Sealed for _, leaf in texts(each, set()))} == set(HOLD_SEALED)


def test_an_envelope_holds_no_text_of_a_person() -> None:
    """Ids, our own words, and of staff alone where they called from and what they changed, whose values are sealed."""
    known = {
        *("specversion", "id", "source", "type", "subject", "datacontenttype", "dataschema", "partitionkey"),
        *("correlationid", "causationid", "traceparent", "principal", "clientaddress", "change"),
    }
    hints = get_type_hints(Envelope, include_extras=True)
    assert {name for name, hint in hints.items() if str in leaves(hint)} == known
