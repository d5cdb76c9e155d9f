"""Where real players leave CTA-5004: each is mended while a record is read, named here, and counted by player."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum


class Deviation(StrEnum):
    """What was mended. Who does it is beside each, with the version recorded in November 2026: hls.js 1.7.4,
    dash.js 5.2.1, shaka-player 5.2.12.
    """

    TRAILING_LINE_FEED = "trailing_line_feed"  # after a single record; all three players
    TTFB_AFTER_TTLB = "ttfb_after_ttlb"  # dash.js sends an instant: ttfb is dropped
    ERROR_CODE_BARE = "error_code_bare"  # dash.js: ec=27 is read as ec=("27")
    ERROR_CODE_STUCK = "error_code_stuck"  # dash.js: ec on a later t or ps though nothing failed: dropped
    START_DELAY_EARLY = "start_delay_early"  # dash.js: msd while it still starts cannot be known yet: dropped
    INIT_DURATION_ZERO = "init_duration_zero"  # hls.js, Shaka: d=0 on an initialisation segment: dropped
    SCALAR_FOR_LIST = "scalar_for_list"  # Shaka: br=64 in v2 is read as br=(64)
    LIST_FOR_SCALAR = "list_for_scalar"  # a list of one where one value belongs: that one
    DECIMAL_FOR_INTEGER = "decimal_for_integer"  # hls.js: pb=(566.234) is rounded
    FALSE_SAID = "false_said"  # Shaka: bg=?0, where leaving it out says so
    CUSTOM_NUMBER = "custom_number"  # hls.js: a custom key may be a string or a token; the number is kept
    QUOTING = "quoting"  # a token in quotes, or a text without
    KEY_CASE = "key_case"  # capitals in a key, as in v1's own examples: RFC 8941 knows none, so they are lowered
    NON_ASCII = "non_ascii"  # a text that RFC 8941 cannot say: kept percent-encoded, as UTF-8
    PARAMETER_DROPPED = "parameter_dropped"  # a parameter that the key does not have
    VALUE_UNFIT = "value_unfit"  # a known key with a value of another type, or unknown: kept among the others
    VERSION_MISSING = "version_missing"  # an event without v=2: v1 has no events, so it is v2


def counted(mended: Iterable[Iterable[str]], player: str) -> Counter[tuple[str, str]]:
    """How many records of `player` were mended, by deviation. `player` is what the collector's URL or session says:
    no key of CMCD names the player.
    """
    return Counter((player, deviation) for deviations in mended for deviation in deviations)
