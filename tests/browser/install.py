"""`make browser`: brings what tests in a browser need to this machine, as far as it can, and says what it cannot."""

import os
import shutil
import subprocess
from typing import Final

from tests.browser.equipment import HERE, INSTALLED, browser

PATIENCE_S: Final = 600
APT: Final = (
    ("apt-get", "update", "-q"),
    ("apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"),
)
NPM: Final = ("npm", "ci", "--prefix", str(HERE), "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")


def main() -> None:
    """Install what is not there. What fails is said; the tests are skipped then, and nothing else suffers."""
    if browser() is None:
        _install_browser()
    if not INSTALLED.exists() or INSTALLED.stat().st_mtime < (HERE / "package-lock.json").stat().st_mtime:
        _run(NPM)


def _install_browser() -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        print("browser: Chromium is missing, and only root with apt-get installs it here; its tests will be skipped")
        return
    for command in APT:
        _run(command)


def _run(command: tuple[str, ...]) -> None:
    try:
        done = subprocess.run(
            command,
            check=False,
            timeout=PATIENCE_S,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"browser: {' '.join(command[:2])} did not work: {error}")
        return
    if done.returncode:
        print(f"browser: {' '.join(command[:2])} did not work:\n{(done.stdout + done.stderr)[-1_000:]}")


if __name__ == "__main__":
    main()
