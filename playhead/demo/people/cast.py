"""Who takes part in an evening: the viewers, and a few people for each of the scenes in walls.py."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from playhead.demo.people.person import Person
from playhead.demo.people.signing import SignIn
from playhead.demo.people.ways_in import Door

VIEWERS_FOR_EACH_SCENE: Final = 30


@dataclass(frozen=True)
class Cast:
    """Everybody but the staff. `probe`: whose reports freshness is measured by."""

    viewers: tuple[Person, ...]
    probe: Person
    losers: tuple[Person, ...]
    copied: tuple[Person, ...]
    parents: tuple[Person, ...]
    households: tuple[Person, ...]

    @classmethod
    def of(cls, viewers: int, door: Door) -> "Cast":
        """As many viewers as asked for, and enough others that each scene is seen."""
        scenes = max(1, viewers // VIEWERS_FOR_EACH_SCENE)
        people = (Person(number, door) for number in range(viewers + 1 + 4 * scenes))

        def some(many: int) -> tuple[Person, ...]:
            return tuple(next(people) for _ in range(many))

        return cls(some(viewers), next(people), some(scenes), some(scenes), some(scenes), some(scenes))

    @property
    def people(self) -> tuple[Person, ...]:
        """All of them."""
        return (*self.viewers, self.probe, *self.losers, *self.copied, *self.parents, *self.households)

    def readers(self) -> dict[str, SignIn]:
        """A sign-in of each profile that somebody watches as."""
        return {app.profile_id: app for app in self._apps()}

    def owners(self) -> dict[str, SignIn]:
        """A sign-in of each account."""
        return {app.account_id: app for app in self._apps()}

    def _apps(self) -> Iterator[SignIn]:
        return (app for person in self.people for app in person.apps.values())
