"""A page with real players on one origin, in headless Chromium, reporting to collectors on another."""

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tests.browser.equipment import HERE, SCRIPTS, browser

FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
)


class _Shown(SimpleHTTPRequestHandler):
    """The page, the players' scripts and the stream."""

    def __init__(self, *arguments: Any, stream: Path, done: list[Any], ended: threading.Event) -> None:
        self._stream = stream
        self._done = done
        self._ended = ended
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        """Where a path's file is."""
        name = path.partition("?")[0].rpartition("/")[2]
        if path.startswith("/players/"):
            return str(SCRIPTS[name])
        return str((self._stream if path.startswith("/stream/") else HERE) / name)

    def do_POST(self) -> None:
        """The page tells how it went."""
        self._done += json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self._ended.set()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class Cinema:
    """The page's server, and what its page told."""

    def __init__(self, stream: Path) -> None:
        self.done: list[dict[str, Any]] = []
        self.ended = threading.Event()
        shown = partial(_Shown, stream=stream, done=self.done, ended=self.ended)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), shown)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def play(self, collectors: Mapping[str, str], profile: Path, *, patience_s: float) -> dict[str, dict[str, Any]]:
        """Play the stream with each player, which reports to its collector, side by side; what the page told of each.
        Raises TimeoutError.
        """
        asked = [{"name": name, "url": url} for name, url in collectors.items()]
        with _chromium(f"{self.origin}/page.html#{quote(json.dumps(asked))}", profile):
            if not self.ended.wait(patience_s):
                log = (profile / "chromium.log").read_text(errors="replace")
                raise TimeoutError(f"the page told nothing in {patience_s} s:\n{log[-2_000:]}")
        return {told["name"]: told for told in self.done}


@contextmanager
def _chromium(url: str, profile: Path) -> Iterator[None]:
    found = browser()
    assert found is not None
    with (profile / "chromium.log").open("wb") as log:
        command = [found, *FLAGS, f"--user-data-dir={profile / 'profile'}", "--enable-logging=stderr", url]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
