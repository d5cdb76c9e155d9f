"""What is there when the evening begins: staff at work, everybody registered, titles published, plans on sale."""

from dataclasses import dataclass

import aiohttp

from infra.ids import new_id
from playhead.console import say
from playhead.demo.api import Api
from playhead.demo.ledger import Ledger
from playhead.demo.money.accounts import Accounts
from playhead.demo.money.director import Director
from playhead.demo.money.selling import Counter
from playhead.demo.money.subscriber import Subscriptions
from playhead.demo.people.arriving import arrive
from playhead.demo.people.cast import Cast
from playhead.demo.people.mailbox import Mailbox
from playhead.demo.people.register import Register
from playhead.demo.people.signing import SignIn
from playhead.demo.people.staff import Staff, hire
from playhead.demo.people.ways_in import Door
from playhead.demo.publishing import Catalog
from playhead.demo.watching.films import FILMS
from playhead.demo.watching.sitting import Title
from playhead.processes import COMMANDS, FAKE_PAYMENTS, QUERY_API, Fleet


@dataclass(frozen=True)
class House:
    """All of it, and both APIs."""

    commands: Api
    query: Api
    register: Register
    staff: Staff
    cast: Cast
    catalog: Catalog
    titles: list[Title]
    subscriptions: Subscriptions

    def owners(self) -> dict[str, SignIn]:
        """A sign-in of each account."""
        return {**self.cast.owners(), **self.staff.owners()}

    @property
    def ledger(self) -> Ledger:
        """What was acknowledged."""
        return self.register.ledger


async def open_house(fleet: Fleet, session: aiohttp.ClientSession, viewers: int) -> House:
    """From the first account to the last plan. Raises Refused, NotTaken, PublishingRefused."""
    run_id, settings = new_id(), fleet.settings
    commands, query = Api(session, fleet.url(COMMANDS)), Api(session, fleet.url(QUERY_API))
    register = Register(Ledger())
    door = Door(commands, Mailbox(settings), register, f"evening-{run_id}")
    staff = await hire(door, settings)
    say("An editor, an operator and a clerk for billing are signed in, each in the role that they were granted.")
    cast = Cast.of(viewers, door)
    await arrive(cast.people)
    catalog = Catalog(commands, staff.editor, register)
    titles = await catalog.publish()
    await catalog.shown(query)
    say(f"Published {len(FILMS)} films and a series of {len(titles) - len(FILMS)} episodes; all can be found.")
    counter = Counter(commands, staff.billing, register, run_id)
    await counter.open(titles)
    director = Director(session, fleet.url(FAKE_PAYMENTS), settings)
    subscriptions = Subscriptions(commands, Accounts(query), staff.billing, register, counter, director)
    return House(commands, query, register, staff, cast, catalog, titles, subscriptions)
