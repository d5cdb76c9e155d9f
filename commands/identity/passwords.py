"""Passwords and PINs: which are taken, and their argon2id hashes, computed in a bounded pool of threads.

Passwords are compared as NIST SP 800-63B has it: normalised to NFKC, of any characters, refused for what is easily
guessed and for nothing else.
"""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Final, ParamSpec, TypeVar

from prometheus_client import Counter
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import Field, SecretStr
from zxcvbn import zxcvbn

from commands.identity.refusals import PasswordsBusy, PasswordWeak
from infra.settings import Settings

LEAST_SCORE: Final = 3
"""zxcvbn's "safely unguessable: moderate protection from offline slow-hash scenario"."""
EVALUATED_CHARS: Final = 72
"""The search for patterns takes longer than in proportion; what follows can only make a password stronger."""
HASHES = Counter("playhead_password_hashes_total", "argon2id computations, for passwords and PINs", ["outcome"])

PasswordText = Annotated[SecretStr, Field(min_length=1, max_length=1_024, examples=["kitchen-table-7-Walnut"])]
"""A password in a body, which no log and no traceback shows; how long one may be is for `check` to say."""

P = ParamSpec("P")
T = TypeVar("T")


class Passwords:
    """Hashes and verifies, a few at a time; one for each process. `computed`: how many hashes were."""

    def __init__(self, settings: Settings) -> None:
        self._hasher = Argon2Hasher(
            time_cost=settings.password_hash_passes, memory_cost=settings.password_hash_memory_kib, parallelism=1
        )
        self._threads = ThreadPoolExecutor(settings.password_hash_max_concurrency, thread_name_prefix="passwords")
        self._places = settings.password_hash_max_concurrency + settings.password_hash_max_waiting
        self._min_chars, self._max_chars = settings.password_min_chars, settings.password_max_chars
        self._retry_after_s = settings.retry_after_s
        self._taken = 0
        self.computed = 0

    async def hash(self, text: str) -> str:
        """The hash of a password or a PIN, with its cost and a salt of its own. Raises PasswordsBusy."""
        return await self._computed(self._hasher.hash, normalised(text))

    async def verify(self, text: str, hashed: str | None) -> bool:
        """Whether the text is what was hashed. For None, which is nobody's, it is not, and takes as long to tell.
        Raises PasswordsBusy.
        """
        if hashed is None:
            await self.hash(text)
            return False
        return await self._computed(self._hasher.verify, normalised(text), hashed)

    def is_outdated(self, hashed: str) -> bool:
        """Whether a hash was made at another cost than the settings ask for now."""
        return self._hasher.check_needs_rehash(hashed)

    async def check(self, password: str, *, of: str) -> None:
        """Refuse a password that is easily guessed. `of`: whose it is to be, an email address. Raises PasswordWeak,
        PasswordsBusy.
        """
        text = normalised(password)
        if not self._min_chars <= len(text) <= self._max_chars:
            raise weak(f"it has {len(text)} characters; take {self._min_chars} to {self._max_chars}")
        if "\x00" in text:
            raise weak("it holds a null character")
        if reasons := await self._in_thread(_reasons, text, of):
            raise weak(*reasons)

    async def _computed(self, compute: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        result = await self._in_thread(compute, *args, **kwargs)
        self.computed += 1
        HASHES.labels("computed").inc()
        return result

    async def _in_thread(self, compute: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._taken >= self._places:
            HASHES.labels("refused").inc()
            raise PasswordsBusy(
                "too many passwords are being verified; try again", headers={"Retry-After": str(self._retry_after_s)}
            )
        self._taken += 1
        try:
            # A request that goes away while it waits here takes its computation with it.
            return await asyncio.wrap_future(self._threads.submit(compute, *args, **kwargs))
        finally:
            self._taken -= 1


def normalised(text: str) -> str:
    """A password as it is hashed, however a keyboard composed its characters."""
    return unicodedata.normalize("NFKC", text)


def weak(*reasons: str) -> PasswordWeak:
    """The refusal of a password, with all that is wrong with it."""
    return PasswordWeak("; ".join(reasons), members={"reasons": list(reasons)})


def _reasons(text: str, of: str) -> list[str]:
    """Why a password is too easily guessed; nothing for one that is not."""
    local, _, domain = of.partition("@")
    found = zxcvbn(text[:EVALUATED_CHARS], user_inputs=[of, local, domain, "playhead"], max_length=EVALUATED_CHARS)
    if found["score"] >= LEAST_SCORE:
        return []
    feedback = found["feedback"]
    said = [feedback["warning"], *feedback["suggestions"]]
    return ["it is too easily guessed", *(reason.rstrip(".") for reason in said if reason)]
