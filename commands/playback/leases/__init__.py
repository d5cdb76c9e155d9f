"""Stream leases: which sessions of an account hold a place now, decided in Redis, one atomic step at a time."""

from commands.playback.leases.decisions import ended_by
from commands.playback.leases.leases import Leases, LeasesAway
from commands.playback.leases.outcomes import (
    Claim,
    Claimed,
    Ending,
    Held,
    LimitReached,
    Renewal,
    RunningStream,
    Terminated,
    Termination,
    Unclaimed,
)
from commands.playback.leases.progress import NOTHING, Motion, Progress, progress_of

__all__ = [
    "NOTHING",
    "Claim",
    "Claimed",
    "Ending",
    "Held",
    "Leases",
    "LeasesAway",
    "LimitReached",
    "Motion",
    "Progress",
    "Renewal",
    "RunningStream",
    "Terminated",
    "Termination",
    "Unclaimed",
    "ended_by",
    "progress_of",
]
