"""Postgres with settings fit for tests yet durable, run by an account of its own when the servers are root's."""

import os
import shutil
import signal
import tarfile
import tempfile
from pathlib import Path

from infra.local import probes
from infra.local.accounts import Account, first_closed_directory, unprivileged_account
from infra.local.errors import LocalServerError
from infra.local.ports import LOOPBACK
from infra.local.processes import Launch, birth_of, run_once
from infra.local.server import Site

_ROLE = "playhead"
_DATABASE = "playhead"
# Survives a restart of the machine, unlike /tmp, and can be entered by everybody.
_OPEN_DIRECTORY = Path("/var/tmp")

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # No socket file: its path would be bounded to about 100 bytes, and nobody connects by it.
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """The server with the role and database `playhead`; "postgres" is its port."""

    name = "postgres"
    port_names = ("postgres",)
    needs_java = False

    def prepare(self, site: Site) -> Launch:
        """Create the cluster the first time, somewhere that the account Postgres runs as can reach."""
        account = unprivileged_account()
        home = reachable_home(site.home, account)
        if home != site.home:
            site.say(f"postgres: its files are in {home}, as {account and account.name} may not enter {site.home}")
        binaries = _reachable_binaries(_resolved(site), home, account)
        data = home / "data"
        if not (data / "playhead-ready").exists():
            site.say("postgres: creating its data directory")
            _create(binaries, data, account)
        _forget_dead(data / "postmaster.pid")
        settings = tuple(f"--{name}={value}" for name, value in _SETTINGS.items())
        command = (str(binaries / "bin/postgres"), "-D", str(data), f"--port={site.ports['postgres']}", *settings)
        # SIGINT is its fast shutdown; on SIGTERM it would wait for every client to leave by itself.
        return Launch(command, home, account, stop_signal=signal.SIGINT)

    def serves(self, port: int) -> bool:
        """Whether a session in the database `playhead` can be had."""
        return probes.postgres_serves(port)


def reachable_home(wanted: Path, account: Account | None) -> Path:
    """`wanted`, or the directory that it links to because `account` may not enter `wanted`; made when missing."""
    if not wanted.is_symlink() and not wanted.exists():
        wanted.parent.mkdir(parents=True, exist_ok=True)
        if account is not None and first_closed_directory(wanted.parent, account) is not None:
            wanted.symlink_to(_open_home(account), target_is_directory=True)
        else:
            wanted.mkdir()
    home = wanted.resolve()
    home.mkdir(exist_ok=True)
    if account is not None:
        os.chown(home, account.uid, account.gid)
        _refuse_closed(home, account)
    return home


def erase_home(home: Path) -> None:
    """Remove the directory of Postgres, also where it is a link to one elsewhere."""
    target = home.resolve()
    if home.is_symlink():
        home.unlink()
    shutil.rmtree(target, ignore_errors=True)


def _forget_dead(lock: Path) -> None:
    """Remove the lock of a killed postmaster that is still a zombie, which Postgres would take for a living one.

    That no other process is left on the data directory Postgres still makes sure of by its shared memory.
    """
    if lock.exists() and birth_of(int(lock.read_text().split()[0])) is None:
        lock.unlink()


def _open_home(account: Account) -> Path:
    closed = first_closed_directory(_OPEN_DIRECTORY, account)
    if closed is not None:
        raise LocalServerError(
            f"Postgres does not run as root, and {account.name} may enter neither the state directory nor {closed}: "
            "choose a state directory that everybody may enter, or start the servers as an ordinary user."
        )
    return Path(tempfile.mkdtemp(prefix="playhead-postgres-", dir=_OPEN_DIRECTORY))


def _refuse_closed(home: Path, account: Account) -> None:
    """Permissions may have changed since the home was chosen."""
    closed = first_closed_directory(home, account)
    if closed is not None:
        raise LocalServerError(
            f"Postgres does not run as root, and {account.name} may not enter {closed}: "
            f"let others enter it (chmod o+x {closed}), or choose another state directory."
        )


def _resolved(site: Site) -> Path:
    def unpack(directory: Path) -> None:
        for jar in directory.glob("embedded-postgres-binaries-*.jar"):
            shutil.unpack_archive(jar, directory, "zip")
            jar.unlink()
        archive = directory / site.platform.postgres_archive
        _extract(archive, directory)
        archive.unlink()

    return site.resolved("postgres", unpack)


def _extract(archive: Path, into: Path) -> None:
    try:
        with tarfile.open(archive, "r:xz") as binaries:
            # Python before 3.11.4 does not know this attribute, nor the filter.
            binaries.extraction_filter = getattr(tarfile, "data_filter", None)
            binaries.extractall(into)
    except tarfile.CompressionError:
        # A Python built without lzma; tar does it with the machine's xz.
        command = ["tar", "-xJf", str(archive), "-C", str(into)]
        run_once(command, what="Unpacking Postgres (Python has no lzma module, so with tar and xz)")


def _reachable_binaries(resolved: Path, home: Path, account: Account | None) -> Path:
    """The resolved binaries, copied into `home` when `account` may not enter the cache."""
    if account is None or first_closed_directory(resolved, account) is None:
        return resolved
    copied = home / resolved.name
    if not copied.exists():
        unfinished = home / f"{resolved.name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(resolved, unfinished, symlinks=True)
        unfinished.rename(copied)
    return copied


def _create(binaries: Path, data: Path, account: Account | None) -> None:
    """initdb and the database; a data directory that an interrupted attempt left behind is started over."""
    shutil.rmtree(data, ignore_errors=True)
    initdb = [str(binaries / "bin/initdb"), "-D", str(data), "-U", _ROLE, "-A", "trust", "-E", "UTF8"]
    # The builtin locale sorts alike on every machine and in the container twin.
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    run_once([*initdb, *locale], what="Creating Postgres's data directory (initdb)", account=account)
    single = [str(binaries / "bin/postgres"), "--single", "-D", str(data), "postgres"]
    create = f"CREATE DATABASE {_DATABASE};\n"
    run_once(single, what="Creating the database", account=account, say=create)
    (data / "playhead-ready").touch()
