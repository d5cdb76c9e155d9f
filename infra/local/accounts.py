"""The account that Postgres runs under: it refuses root, so root hands it to `nobody`, who must reach its files."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import LocalServerError

_UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Account:
    """A user of this machine that root can start a process as."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """The account to hand Postgres to, or None when this process is not root and needs no other."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError as error:
        raise LocalServerError(
            f"Postgres does not run as root, and this machine has no user {_UNPRIVILEGED} to run it as: "
            "add one, or start the servers as an ordinary user."
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def first_closed_directory(path: Path, account: Account) -> Path | None:
    """The topmost of `path` and its existing parents that `account` may not enter; None when it gets through."""
    for directory in (*reversed(path.resolve().parents), path.resolve()):
        if directory.exists() and not _may_enter(directory.stat(), account):
            return directory
    return None


def _may_enter(entry: os.stat_result, account: Account) -> bool:
    if entry.st_uid == account.uid:
        return bool(entry.st_mode & stat.S_IXUSR)
    if entry.st_gid == account.gid:
        return bool(entry.st_mode & stat.S_IXGRP)
    return bool(entry.st_mode & stat.S_IXOTH)
