"""The closed table of CMCD's keys: every key of v1 and v2 with its shape, unit and first version."""

from dataclasses import dataclass
from enum import Enum

from events.cmcd import EventToken, ObjectType, PlayerState, StreamingFormat, StreamType

Vocabulary = type[EventToken] | type[ObjectType] | type[PlayerState] | type[StreamingFormat] | type[StreamType]


class Shape(Enum):
    """What a key's value is. In v1 MEASURES is one integer, and HINTS one text."""

    FLAG = "flag"
    INTEGER = "integer"
    DECIMAL = "decimal"
    TEXT = "text"
    TOKEN = "token"
    TEXTS = "texts"
    MEASURES = "measures"
    HINTS = "hints"


@dataclass(frozen=True)
class Key:
    """One key. `unit`: of its numbers; `since`: its first version; `words`: what a token may be."""

    name: str
    shape: Shape
    meaning: str
    unit: str = ""
    since: int = 2
    words: Vocabulary | None = None


def _listed(*keys: Key) -> dict[str, Key]:
    return {key.name: key for key in keys}


KEYS = _listed(
    Key("ab", Shape.MEASURES, "bitrate of all tracks together", "kbps"),
    Key("bg", Shape.FLAG, "no player of the session is visible"),
    Key("bl", Shape.MEASURES, "buffer length", "ms", since=1),
    Key("br", Shape.MEASURES, "encoded bitrate", "kbps", since=1),
    Key("bs", Shape.FLAG, "the buffer starved since the last record", since=1),
    Key("bsa", Shape.MEASURES, "buffer starvations since the session began", "times"),
    Key("bsd", Shape.MEASURES, "duration of the last starvation", "ms"),
    Key("bsda", Shape.MEASURES, "duration of all starvations", "ms"),
    Key("cdn", Shape.TEXT, "delivery network"),
    Key("cen", Shape.TEXT, "name of a custom event"),
    Key("cid", Shape.TEXT, "content", since=1),
    Key("cmsdd", Shape.TEXT, "CMSD-Dynamic as received, base64"),
    Key("cmsds", Shape.TEXT, "CMSD-Static as received, base64"),
    Key("cs", Shape.TEXT, "content signature"),
    Key("d", Shape.INTEGER, "duration of the object", "ms", since=1),
    Key("dfa", Shape.INTEGER, "dropped frames since the session began", "frames"),
    Key("dl", Shape.INTEGER, "deadline until the buffer starves", "ms", since=1),
    Key("e", Shape.TOKEN, "event", words=EventToken),
    Key("ec", Shape.TEXTS, "error codes"),
    Key("h", Shape.TEXT, "host of the media"),
    Key("lab", Shape.MEASURES, "lowest bitrate of all tracks together", "kbps"),
    Key("lb", Shape.MEASURES, "lowest encoded bitrate", "kbps"),
    Key("ltc", Shape.INTEGER, "latency behind live", "ms"),
    Key("msd", Shape.INTEGER, "media start delay: play intent to first frame", "ms"),
    Key("mtp", Shape.MEASURES, "measured throughput", "kbps", since=1),
    Key("nor", Shape.HINTS, "next objects to be requested", since=1),
    Key("nr", Shape.FLAG, "not rendered"),
    Key("nrr", Shape.TEXT, "next range to be requested; gone in v2", since=1),
    Key("ot", Shape.TOKEN, "type of the object", since=1, words=ObjectType),
    Key("pb", Shape.MEASURES, "playhead bitrate: of what is rendered", "kbps"),
    Key("pr", Shape.DECIMAL, "playback rate", "times", since=1),
    Key("pt", Shape.INTEGER, "playhead time", "ms"),
    Key("rc", Shape.INTEGER, "response code", "HTTP status"),
    Key("rtp", Shape.INTEGER, "requested maximum throughput", "kbps", since=1),
    Key("sf", Shape.TOKEN, "streaming format", since=1, words=StreamingFormat),
    Key("sid", Shape.TEXT, "session of the player", since=1),
    Key("smrt", Shape.TEXT, "streaming media response tracing"),
    Key("sn", Shape.INTEGER, "number of the record in its session and target, from 0"),
    Key("st", Shape.TOKEN, "stream type", since=1, words=StreamType),
    Key("sta", Shape.TOKEN, "state of the player", words=PlayerState),
    Key("su", Shape.FLAG, "needed at once: startup, seek or starvation", since=1),
    Key("tab", Shape.MEASURES, "top bitrate of all tracks together", "kbps"),
    Key("tb", Shape.MEASURES, "top encoded bitrate", "kbps", since=1),
    Key("tbl", Shape.MEASURES, "target buffer length", "ms"),
    Key("tpb", Shape.MEASURES, "top playable bitrate", "kbps"),
    Key("ts", Shape.INTEGER, "when it happened; of rr, when the request began", "ms since 1970"),
    Key("ttfb", Shape.INTEGER, "time to first byte", "ms"),
    Key("ttfbb", Shape.INTEGER, "time to first byte of the body", "ms"),
    Key("ttlb", Shape.INTEGER, "time to last byte", "ms"),
    Key("url", Shape.TEXT, "what was requested"),
    Key("v", Shape.INTEGER, "version of CMCD", since=1),
)
