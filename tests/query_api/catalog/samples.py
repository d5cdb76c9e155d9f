"""A small bilingual catalog, as the events that published it, for what is found in it and in which order."""

from datetime import timedelta
from typing import Any, Final

import msgspec

from events.catalog import TitlePublished
from events.envelope import Envelope, Event
from events.titles import Credit, EpisodePlace, Kind, LocalizedText, TitleDetails
from events.types import SeriesId, TitleId
from tests.builders import EVENING, KOREA, of_catalog, title_details

SERIES_ID: Final = SeriesId("night-ferry")

NAMES: Final[dict[str, tuple[Kind, dict[str, str], tuple[str, ...]]]] = {
    "bunny": (Kind.SHORT, {"en": "Big Buck Bunny", "ko": "빅 벅 버니"}, ("Sacha Goedegebure",)),
    "sintel": (Kind.SHORT, {"en": "Sintel", "ko": "신텔"}, ("Colin Levy",)),
    "spring": (Kind.SHORT, {"en": "Spring", "ko": "봄"}, ("Andy Goralczyk",)),
    "bargain": (Kind.MOVIE, {"en": "Spring Bargain", "ko": "봄날의 흥정"}, ("Bae Doona",)),
    "long-spring": (Kind.MOVIE, {"en": "The Longest Spring", "ko": "가장 긴 봄"}, ()),
    "steel": (Kind.SHORT, {"en": "Tears of Steel", "ko": "강철의 눈물"}, ("Ian Hubert",)),
    "parasite": (Kind.MOVIE, {"en": "Parasite", "ko": "기생충"}, ("Bong Joon-ho", "송강호")),
    "host": (Kind.MOVIE, {"en": "The Host", "ko": "괴물"}, ("Bong Joon-ho", "송강호")),
    "amelie": (Kind.MOVIE, {"en": "Amélie", "ko": "아멜리에", "fr": "Le Fabuleux Destin d'Amélie Poulain"}, ()),
    "mother": (Kind.MOVIE, {"en": "Mother", "ko": "마더"}, ("Bong Joon-ho",)),
    "night": (Kind.MOVIE, {"en": "Night of the Living Dead", "ko": "살아있는 시체들의 밤"}, ("George Romero",)),
    SERIES_ID: (Kind.SERIES, {"en": "Night Ferry", "ko": "밤배"}, ()),
    "last-call": (Kind.EPISODE, {"en": "Last Call", "ko": "마지막 승선"}, ()),
    "fog": (Kind.EPISODE, {"en": "Fog", "ko": "안개"}, ()),
}
EPISODES: Final = ("last-call", "fog")

FOUND: Final[list[tuple[str, list[str]]]] = [
    ("Sintel", ["sintel"]),
    ("  SINTEL! ", ["sintel"]),
    ("신텔", ["sintel"]),
    ("spring", ["spring", "bargain", "long-spring"]),  # whole, beginning, word
    ("봄", ["spring", "bargain", "long-spring"]),
    ("봄날", ["bargain"]),
    ("spr", ["spring", "bargain", "long-spring"]),
    ("bunny big", ["bunny"]),
    ("big bu", ["bunny"]),
    ("빅벅버니", ["bunny"]),  # spaces do not count
    ("빅 벅버니", ["bunny"]),
    ("버니", ["bunny"]),  # two syllables, a word
    ("벅버", ["bunny"]),  # two syllables across words
    ("시체", ["night"]),  # two syllables inside a word
    ("눈물", ["steel"]),
    ("ㅂㅂㅂ", ["bunny"]),
    ("ㄱㅅㅊ", ["parasite"]),
    ("ㄳㅊ", ["parasite"]),  # as a keyboard joins ㄱ and ㅅ
    ("ㄱㅅ", ["parasite"]),
    ("빅ㅂ", ["bunny"]),  # not finished yet
    ("빅버", ["bunny"]),
    ("신테", ["sintel"]),
    ("amelie", ["amelie"]),
    ("Amélie", ["amelie"]),  # decomposed
    ("poulain", ["amelie"]),  # the original name
    ("bong joonho", ["mother", "host", "parasite"]),
    ("bong joon-ho", ["mother", "host", "parasite"]),
    ("송강호", ["host", "parasite"]),
    ("parasite bong", ["parasite"]),
    ("night", [SERIES_ID, "night"]),
    ("밤", [SERIES_ID, "night"]),
    ("last call", ["last-call"]),
    ("sintle", ["sintel"]),  # typos
    ("sntel", ["sintel"]),
    ("spirng", ["spring", "bargain", "long-spring"]),
    ("prasite", ["parasite"]),
    ("big buk bunny", ["bunny"]),
    ("bigbuck buny", ["bunny"]),
    ("신탤", ["sintel"]),
    ("기생츙", ["parasite"]),
    ("qlrqjrqjsl", ["bunny"]),  # 빅벅버니 with the keyboard in English
    ("ㄴㅑㅜㅅㄷㅣ", ["sintel"]),  # sintel with the keyboard in Korean
    ("xyzzy", []),
    ("!!!", []),
    ("없는영화", []),
]


def details_of(title_id: str) -> TitleDetails:
    """What editors say of one of these."""
    kind, names, people = NAMES[title_id]
    return title_details(
        texts=tuple(LocalizedText(locale, name, f"About {name}.") for locale, name in names.items()),
        people=tuple(Credit(f"p-{name}", name, "director", order=order) for order, name in enumerate(people)),
        availability=() if kind is Kind.SERIES else (KOREA,),
        duration_ms=None if kind is Kind.SERIES else 3_000_000,
    )


def published(title_id: str, mark: str = "", **changes: Any) -> Envelope[Event]:
    """One of these as it was published, each a minute after the one before. `mark` is put before every id."""
    series_id = SeriesId(mark + SERIES_ID)
    episode = EPISODES.index(title_id) + 1 if title_id in EPISODES else 0
    event = TitlePublished(
        title_id=TitleId(mark + title_id),
        kind=NAMES[title_id][0],
        place=EpisodePlace(series_id, "Night Ferry", 1, episode) if episode else None,
        details=msgspec.structs.replace(details_of(title_id), **changes),
    )
    at = EVENING + timedelta(minutes=list(NAMES).index(title_id))
    return msgspec.structs.replace(of_catalog(event, series_id if episode else mark + title_id), time=at)


CATALOG: Final = [published(title_id) for title_id in NAMES]
