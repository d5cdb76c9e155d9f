"""What the demo publishes: open films of the Blender Foundation and Studio, and a made-up series.

Durations are the films' own; credits markers are where the credits begin, to a few seconds. Some have none, as in any
catalog, and the shortest are under five minutes and never resume.
"""

from typing import Any, Final

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
AGES: Final = {"ALL": 0, "7": 7, "12": 12, "15": 15}

EVERYWHERE: Final = {"territories": ["DE", "FR", "JP", "KR", "NL", "US"], "starts_at": "2026-01-01T00:00:00Z"}
FREE: Final = ("avod", "svod")
SUBSCRIBED: Final = ("svod", "tvod")
FOR_SUBSCRIBERS: Final = "Sintel"
"""The film that only who subscribes may watch, or who rents it; all else is free with advertising."""


def _length(text: str) -> int:
    minutes, seconds = text.split(":")
    return int(minutes) * MINUTE_MS + int(seconds) * SECOND_MS


def _rating(value: str) -> dict[str, object]:
    return {"system": "KR", "value": value, "minimum_age": AGES[value]}


def _played(name: str, length: str, credits_at: str | None, rating: str, synopsis: str) -> dict[str, Any]:
    marker = {} if credits_at is None else {"credits_start_ms": _length(credits_at)}
    facts = {"name": name, "synopsis": synopsis, "duration_ms": _length(length), "maturity": _rating(rating)}
    licences = SUBSCRIBED if name == FOR_SUBSCRIBERS else FREE
    return {**facts, **marker, "availability": [{**EVERYWHERE, "licence": licence} for licence in licences]}


FILMS: Final = (
    _played("Elephants Dream", "10:54", None, "7", "Two men walk through a machine that only one of them sees. 2006."),
    _played("Big Buck Bunny", "9:56", "8:20", "ALL", "A giant rabbit meets three bullying rodents. 2008."),
    _played("Sintel", "14:48", "12:25", "12", "A girl looks for the dragon that she raised. 2010."),
    _played("Tears of Steel", "12:14", "9:40", "12", "A break-up in Amsterdam dooms the world, forty years on. 2012."),
    _played("Caminandes: Llama Drama", "1:30", None, "ALL", "Koro wants to cross a road. 2013."),
    _played("Caminandes: Gran Dillama", "2:26", None, "ALL", "Koro wants what is behind a fence. 2013."),
    _played("Cosmos Laundromat", "12:10", "10:05", "12", "A sheep on an island is offered other lives. 2015."),
    _played("Caminandes: Llamigos", "2:30", None, "ALL", "Koro shares the last berries with a penguin. 2016."),
    _played("Agent 327: Operation Barbershop", "3:51", "3:30", "7", "An agent has his hair cut, under cover. 2017."),
    _played("Spring", "7:44", "6:45", "7", "A shepherd girl and her dog wake the spring. 2019."),
    _played("Sprite Fright", "10:29", "8:55", "12", "Teenagers in a forest should have been kinder to it. 2021."),
)

SERIES: Final[dict[str, Any]] = {
    "name": "Night Ferry",
    "synopsis": "A crossing of nine hours, and nobody aboard is who the passenger list says. Made up for this demo.",
    "maturity": _rating("12"),
}

SEASONS: Final = {
    1: (
        _played("Last Call", "6:40", "6:15", "12", "The ramp goes up with one car too many on deck."),
        _played("Deck Four", "7:10", "6:45", "12", "The lift stops at a deck that is not on the plan."),
        _played("The Steward", "6:20", "5:55", "12", "Someone serves tea in a cabin that is empty."),
        _played("Half Way", "8:00", "7:30", "12", "At midnight the other ferry does not pass."),
    ),
    2: (
        _played("Fog", "6:50", "6:25", "12", "The captain asks the passengers to count themselves."),
        _played("Man Overboard", "7:30", "7:05", "15", "A coat floats by, and everyone knows it."),
        _played("Harbour Lights", "8:20", "7:50", "12", "Land, but not the one that they left for."),
    ),
}
