"""Scenes in which somebody is refused, as they must be: a lost phone, a copied app, a child, a household with
more screens than streams, who has not paid, and a neighbour who looks.

Each is counted when it is refused exactly as docs/problems.md says, and reported as a failure when it is not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from infra.clock import monotonic_s
from infra.ids import new_secret
from playhead.demo.api import Api, NotTaken, Refused, Reply, Ticket
from playhead.demo.money.parts import Part, Subscribe
from playhead.demo.money.subscriber import Subscriber, Subscriptions
from playhead.demo.people.cast import Cast
from playhead.demo.people.person import Person
from playhead.demo.people.register import Register
from playhead.demo.people.signing import SignIn, refresh
from playhead.demo.watching.by_hand import Watching, watched_on
from playhead.demo.watching.films import FOR_SUBSCRIBERS
from playhead.demo.watching.player import CONFLICT, GONE, LIMIT_REACHED, OK, Living, Viewer
from playhead.demo.watching.script import BROWSER, PHONE, TELEVISION, free_of
from playhead.demo.watching.sitting import Title

TAKES_EFFECT_WITHIN_S: Final = 20.0
"""What ended is refused when the APIs have heard of it; a projection that was killed tells them late."""
LOOKS_EVERY_S: Final = 0.25
CHILDS_LIMIT: Final = 7
FORBIDDEN, UNAUTHENTICATED, BAD_REQUEST = 403, 401, 400


@dataclass(frozen=True)
class Walls:
    """What the scenes share."""

    shared: Living
    query: Api
    register: Register

    async def lose_a_phone(self, person: Person, title: Title) -> None:
        """In the middle of a sitting; from another device it is removed, and its next report is refused."""
        laptop, phone = await person.on(BROWSER), await person.on(PHONE)
        watching = await Watching.begin(Viewer(person.name, person, self.shared), phone, watched_on(title, PHONE))
        await watching.go_on()
        await person.remove(PHONE, by=laptop)
        refused = await self._refused_in_time(watching.go_on)
        self.expect(
            "reports of lost phones (410)",
            refused.refuses(GONE, "session-terminated") and refused.json().get("reason") == "device_removed",
            refused,
        )
        await self._out(phone, "lost phones (401)")

    async def copy_an_app(self, person: Person) -> None:
        """A copy of an app uses a refresh token that the app has replaced: both are out, and the owner comes back."""
        app = await person.on(BROWSER)
        copied = app.refresh_token
        await app.renew(app.token)
        await app.renew(app.token)
        for token in (copied, app.refresh_token):
            reply = await refresh(self.shared.commands, token, app.address)
            invalid = reply.status == BAD_REQUEST and reply.json().get("error") == "invalid_grant"
            self.expect("refresh tokens of copied apps (invalid_grant)", invalid, reply)
        self.register.ended([app.sign_in_id], "refresh_token_reused")
        await self._out(app, "sign-ins of copied apps (401)")
        again = await person.sign_in_again(BROWSER)
        (await self.query.get(_watching_of(person.profile_id), again)).taken("reading after signing in again", OK)

    async def bring_up_a_child(self, person: Person, subscriber: Subscriber, title: Title) -> None:
        """A profile with a limit, and a title above it: refused, and played once the PIN was entered."""
        await subscriber.play()
        if not await subscriber.comes_true():
            return
        pin = f"{int.from_bytes(new_secret(4)) % 10**6:06}"
        television = await person.on(TELEVISION)
        child_id = await person.create_profile(person.phone, "Kim", kids=True, maturity_limit=CHILDS_LIMIT)
        await person.protect(child_id, pin)
        await person.choose(television, child_id, pin=pin)
        viewer = Viewer(f"child of {person.name}", person, self.shared)
        _, reply = await viewer.ask_to_start(watched_on(title, TELEVISION), television)
        self.expect("titles above a child's limit (403)", reply.refuses(FORBIDDEN, "pin-required"), reply)
        unlocked = await person.unlock(television, pin)
        watching = await Watching.begin(viewer, television, watched_on(title, TELEVISION), unlocked=unlocked)
        await watching.go_on()
        self.register.ledger.manners["titles unlocked by a PIN"] += 1

    async def use_too_many_screens(self, person: Person, subscriber: Subscriber, title: Title) -> None:
        """A third screen on a plan of two: one is given up for it, another is ended from the phone."""
        await subscriber.play()
        if not await subscriber.comes_true():
            return
        television, laptop, phone = [await person.on(device) for device in (TELEVISION, BROWSER, PHONE)]
        viewer = Viewer(f"household of {person.name}", person, self.shared)
        on_television = await Watching.begin(viewer, television, watched_on(title, TELEVISION))
        on_laptop = await Watching.begin(viewer, laptop, watched_on(title, BROWSER))
        _, reply = await viewer.ask_to_start(watched_on(title, PHONE), phone)
        self.expect("screens beyond the plan's (409)", reply.refuses(CONFLICT, LIMIT_REACHED), reply)
        codes = {stream["device_name"]: stream["termination_code"] for stream in reply.json()["streams"]}
        code = codes[TELEVISION.name]
        on_phone = await Watching.begin(viewer, phone, watched_on(title, PHONE), terminate=[code])
        await self._ended(on_television, "screens given up for another (410)", "replaced", by=PHONE.name)
        await on_phone.go_on()
        await on_laptop.end_from(phone)
        await self._ended(on_laptop, "screens ended from the phone (410)", "remote")

    async def watch_without_paying(self, person: Person, title: Title) -> None:
        """What is not free with advertising asks for a subscription, or to be rented."""
        app = await person.on(BROWSER)
        _, reply = await Viewer(f"{person.name} unpaid", person, self.shared).ask_to_start(
            watched_on(title, BROWSER), app
        )
        self.expect("films not paid for (403)", reply.refuses(FORBIDDEN, "not-entitled"), reply)

    async def look_at_a_neighbour(self, person: Person, neighbour: Person) -> None:
        """Somebody asks for what another watches, and for their devices."""
        reply = await self.query.get(_watching_of(neighbour.profile_id), person.phone)
        self.expect("looks at others' profiles (403)", reply.refuses(FORBIDDEN, "not-your-profile"), reply)
        reply = await self.query.get(f"/v1/accounts/{neighbour.account_id}/devices", person.phone)
        self.expect("looks at others' accounts (403)", reply.refuses(FORBIDDEN, "not-your-account"), reply)

    async def stand(self, cast: Cast, titles: Sequence[Title], subscriptions: Subscriptions) -> None:
        """Play every scene at its time of the evening."""
        free, film = free_of(titles)[0], next(title for title in titles if title.name == FOR_SUBSCRIBERS)
        parent, household = (
            Part("has a child", (Subscribe("basic"),)),
            Part("has three screens", (Subscribe("standard"),)),
        )
        scenes: list[tuple[float, Awaitable[None]]] = [
            *((0.15, self.lose_a_phone(person, free)) for person in cast.losers),
            *((0.25, self.copy_an_app(person)) for person in cast.copied),
            *(
                (0.1, self.bring_up_a_child(person, Subscriber(1, person, parent, subscriptions), film))
                for person in cast.parents
            ),
            *(
                (0.2, self.use_too_many_screens(person, Subscriber(1, person, household, subscriptions), film))
                for person in cast.households
            ),
            *((0.35, self.watch_without_paying(person, film)) for person in cast.copied),
            *((0.4, self.look_at_a_neighbour(person, cast.viewers[0])) for person in cast.copied),
        ]
        await asyncio.gather(*(self._told(*scene) for scene in scenes))

    async def _told(self, share: float, scene: Awaitable[None]) -> None:
        """Play a scene; what it could not do is a failure of the evening."""
        clock = self.shared.clock
        await clock.until(int(clock.length_ms * share))
        try:
            await scene
        except (NotTaken, Refused) as error:
            self.register.ledger.refused.append(str(error))

    async def _ended(self, watching: "Watching", what: str, reason: str, *, by: str | None = None) -> None:
        """The next report of a session that somebody ended is recorded, and says who did."""
        reply = await watching.go_on()
        told = reply.json() if reply.refuses(GONE, "session-terminated") else {}
        device = told.get("ended_by", {}).get("device_name")
        self.expect(what, told.get("reason") == reason and by in (None, device), reply)

    async def _out(self, app: SignIn, what: str) -> None:
        """The last access token of a sign-in that has ended is not taken any more."""
        stale = Ticket(app.token, app.address)
        refused = await self._refused_in_time(lambda: self.query.get(_watching_of(app.profile_id), stale))
        self.expect(what, refused.refuses(UNAUTHENTICATED, "unauthenticated"), refused)

    async def _refused_in_time(self, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        deadline_s = monotonic_s() + TAKES_EFFECT_WITHIN_S
        reply = await ask()
        while reply.status == OK and monotonic_s() < deadline_s:
            await asyncio.sleep(LOOKS_EVERY_S)
            reply = await ask()
        return reply

    def expect(self, what: str, as_documented: bool, reply: Reply) -> None:
        """Count a refusal that is as documented; else it is a failure of the evening."""
        ledger = self.register.ledger
        if as_documented:
            ledger.walls[what] += 1
        else:
            ledger.refused.append(f"{what} not refused so: {reply}")


def _watching_of(profile_id: str) -> str:
    return f"/v1/profiles/{profile_id}/continue-watching"
