"""The end of the demo: one viewer as the API shows them, what was acknowledged against what is held, and what next."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from rich.table import Table

from infra.settings import MIB, Settings
from playhead.console import out, say
from playhead.demo.api import Api
from playhead.demo.comparison import MOST_SHOWN, Compared
from playhead.demo.gauges import ProcessGauge, most_bytes
from playhead.demo.ledger import AcknowledgedSession, Ledger
from playhead.demo.money.subscriber import Subscriptions
from playhead.demo.people.cast import Cast
from playhead.demo.watching.freshness import GIVEN_UP_S, Freshness
from playhead.demo.watching.reference import Rules
from playhead.fake_webhooks import Delivery
from playhead.processes import AUDITS, COMMANDS, FAKE_PAYMENTS, QUERY_API, Fleet

MOST_HISTORY: Final = 8
_DEFAULT_STATE_DIR: Final = Settings.model_fields["state_dir"].default


def most_interesting(ledger: Ledger, rules: Rules, among: Collection[str]) -> str:
    """The first of these profiles that finished an episode and used two devices; else one that comes near."""
    return max(among, key=lambda profile_id: _interest(ledger.of_profile(profile_id), rules))


def _interest(sessions: Sequence[AcknowledgedSession], rules: Rules) -> tuple[bool, bool]:
    finished = any(
        session.title.series_id and rules.completes(session.title, moment)
        for session in sessions
        for moment in session.moments.values()
    )
    return finished, len({session.device.device_id for session in sessions}) > 1


def show_viewer(profile_id: str, rows: Sequence[Mapping[str, Any]], history: Sequence[Mapping[str, Any]]) -> None:
    """A profile's newest continue-watching row and its history, as the API returned them."""
    say(f"\nGET /v1/profiles/{profile_id}/continue-watching: {len(rows)} to go on with, the newest first:")
    if rows:
        say(msgspec.json.format(msgspec.json.encode(rows[0]), indent=2).decode())
    say(f"\nGET /v1/profiles/{profile_id}/watch-history: {len(history)} sessions, the newest first:")
    table = Table("title", "device", "position", "of", "completed", box=None)
    for item in history[:MOST_HISTORY]:
        of, position = _length(item["duration_ms"]), _length(item["position_ms"])
        table.add_row(_title(item), item["device_type"], position, of, "yes" if item["completed"] else "")
    out.print(table)
    if len(history) > MOST_HISTORY:
        say(f" ... and {len(history) - MOST_HISTORY} more")


def show_identity(ledger: Ledger, cast: Cast, apis: Iterable[Api]) -> None:
    """What the walls kept out, and how often apps renewed their tokens."""
    refreshed = sum(app.refreshed for person in cast.people for app in person.apps.values())
    renewing = sum(any(app.refreshed for app in person.apps.values()) for person in cast.viewers)
    say(f"Tokens: {renewing} of {len(cast.viewers)} viewers' apps renewed theirs, {refreshed} times together.")
    told = ", ".join(f"{count} {what}" for what, count in sorted(ledger.walls.items()))
    limited = sum(api.limited for api in apis)
    say(f"Refused, as they must be: {told}. Requests that waited for a rate limit: {limited}.")


def show_sold(subscriptions: Subscriptions, deliveries: Sequence[Delivery], outcomes: Counter[str]) -> None:
    """What was sold, and how badly the payment provider behaved meanwhile."""
    steps = sum(map(len, subscriptions.taken.values()))
    copies = len(deliveries) - len({delivery.event_id for delivery in deliveries})
    say(
        f"Sold: {len(subscriptions.parts)} accounts took {steps} steps ({subscriptions.resent} commands sent twice); "
        f"the payment provider took {outcomes.total()} requests, answered {outcomes['503']} of them with 503 and "
        f"lost {outcomes['no_reply'] + outcomes['500']} of its replies; it sent {len(deliveries)} webhooks, {copies} "
        "of them again."
    )


def show_processes(processes: Mapping[str, ProcessGauge]) -> None:
    """The most memory that each process held, with a warning where it is too much."""
    table = Table("process", "most memory", "restarts", box=None)
    for name, process in processes.items():
        most = most_bytes(name)
        over = f"  over {most // MIB} MB!" if process.most_bytes > most else ""
        table.add_row(name, f"{process.most_bytes // MIB} MB{over}", str(process.restarts or ""))
    out.print(table)


def show_played(ledger: Ledger, freshness: Freshness) -> None:
    """What was sent, how badly, and how fresh the views were meanwhile."""
    manners = Counter(ledger.manners)
    told = ", ".join(f"{count} {name}" for name, count in sorted(manners.items()) if count)
    say(f"Played: {len(ledger.sessions)} sessions, {ledger.reports} requests, {ledger.resent} of them resends; {told}.")
    p50, p99 = freshness.percentile_ms(0.5), freshness.percentile_ms(0.99)
    if p50 is not None and p99 is not None:
        say(
            f"Freshness, from an acknowledged report to its position in continue watching: p50 {p50:.0f} ms, "
            f"p99 {p99:.0f} ms ({len(freshness.samples_s)} samples, {freshness.unseen} of them not seen within "
            f"{GIVEN_UP_S:.0f} s)."
        )


def show_comparison(views: Sequence[Compared], refused: Sequence[str]) -> bool:
    """What differs, then a line for each view; whether all is equal and nothing was refused."""
    for view in views:
        for difference in view.differences[:MOST_SHOWN]:
            say(f"DIFFERENT {difference}")
        if len(view.differences) > MOST_SHOWN:
            say(f"DIFFERENT {view.view}: {len(view.differences) - MOST_SHOWN} more")
    for reason in refused[:MOST_SHOWN]:
        say(f"REFUSED {reason}")
    table = Table("view", "counts", "read from", "acknowledged", "held", "equal", box=None)
    for view in views:
        equal = "yes" if view.equal else "NO"
        table.add_row(view.view, view.unit, view.read_from, str(view.acknowledged), str(view.held), equal)
    out.print(table)
    return all(view.equal for view in views) and not refused


def _title(item: Mapping[str, Any]) -> str:
    if item["series_name"] is None:
        return str(item["title_name"])
    return f"{item['series_name']} {item['season_number']}x{item['episode_number']:02} {item['title_name']}"


def _length(milliseconds: int) -> str:
    minutes, seconds = divmod(milliseconds // 1000, 60)
    return f"{minutes}:{seconds:02}"


def show_kept(fleet: Fleet) -> None:
    """Where everything answers that was left running, and how to end it."""
    say("\nLeft running:")
    apis = ((COMMANDS, "commands API"), (QUERY_API, "query API"), (AUDITS, "audits API"))
    for name, what in apis:
        say(f"  {fleet.url(name)}/docs  {what}, documented")
    for name in fleet.processes:
        say(f"  {fleet.url(name)}/{'ready' if name == FAKE_PAYMENTS else 'metrics'}  {name}")
    state_dir = fleet.settings.state_dir
    command = "playhead" if state_dir == _DEFAULT_STATE_DIR else f"PLAYHEAD_STATE_DIR={state_dir} playhead"
    say(f"To end it: {command} down (the data stays)")


def show_end(*, equal: bool, whole: bool, kept: bool, took_s: float) -> None:
    """How it went, and what to do next."""
    verdict = "Every view holds exactly what was acknowledged." if equal else "NOT everything is as acknowledged."
    history = "" if whole else " History is NOT whole, or could not be verified."
    say(f"{verdict}{history} Total: {took_s:.0f} s.")
    if not (equal and whole):
        say("The processes' logs are in the state directory's logs/; `make demo KEEP=1` leaves all of it to look at.")
    elif not kept:
        say("Next: `make demo KEEP=1` to look around, `make demo KILL=postgres` to see it survive, README.md.")
