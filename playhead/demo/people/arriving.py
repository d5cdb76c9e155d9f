"""Before the evening: everybody registers as newcomers do, some at a time, with a bar where there is a terminal."""

import asyncio
from collections.abc import Sequence
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from infra.clock import monotonic_s
from playhead.console import out, say
from playhead.demo.people.person import Person
from playhead.demo.watching.script import PHONE

TOGETHER: Final = 16
"""How many are on their way at a time; most of them wait for their mail."""
LINE_EVERY: Final = 100


async def arrive(people: Sequence[Person]) -> None:
    """Register everybody on their phones. Raises Refused, NotTaken."""
    began_s = monotonic_s()
    at_once = asyncio.Semaphore(TOGETHER)
    columns = TextColumn("Registering"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("", total=len(people))

        async def one(person: Person) -> None:
            async with at_once:
                await person.register(PHONE)
            bar.advance(task)
            _tell(int(bar.tasks[0].completed), len(people))

        try:
            async with asyncio.TaskGroup() as group:
                for person in people:
                    group.create_task(one(person))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
    say(f"{len(people)} people have registered, each with a profile of their own: {monotonic_s() - began_s:.1f} s.")


def _tell(done: int, of: int) -> None:
    if not out.is_terminal and done % LINE_EVERY == 0 and done < of:
        say(f"{done} of {of} have registered")
