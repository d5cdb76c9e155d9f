"""What a test in a browser needs: Chromium, players from npm, ffmpeg. `make browser` brings what is missing; where it
cannot, the tests are skipped with the reason.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import imageio_ffmpeg

HERE: Final = Path(__file__).parent
MODULES: Final = HERE / "node_modules"
INSTALLED: Final = MODULES / ".package-lock.json"
SCRIPTS: Final = {
    "hls.js": MODULES / "hls.js/dist/hls.min.js",
    "dash.js": MODULES / "dashjs/dist/modern/umd/dash.all.min.js",
    "shaka": MODULES / "shaka-player/dist/shaka-player.compiled.js",
}
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
STREAM_S: Final = 12
PICTURE: Final = f"testsrc2=size=320x180:rate=25:duration={STREAM_S}"
CODED: Final = (
    "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -keyint_min 50 -sc_threshold 0 -b:v 300k -c:a aac -b:a 64k"
)
HLS: Final = "-f hls -hls_time 2 -hls_playlist_type vod -hls_segment_type fmp4"
DASH: Final = "-f dash -seg_duration 2 -use_template 1 -use_timeline 0"
SOUND: Final = f"sine=frequency=440:duration={STREAM_S}"


def browser() -> str | None:
    """The browser's path."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def missing() -> str | None:
    """What the tests lack, for a person; None: nothing."""
    if browser() is None:
        return "no Chromium is installed: `make browser` installs it where apt-get may"
    absent = [name for name, script in SCRIPTS.items() if not script.exists()]
    return f"players are not installed ({', '.join(absent)}): `make browser` asks npm for them" if absent else None


def film(directory: Path) -> None:
    """Make a stream of STREAM_S seconds in segments of two: film.mpd for DASH, film.m3u8 for HLS."""
    inputs = [argument for source in (PICTURE, SOUND) for argument in ("-f", "lavfi", "-i", source)]
    coded = f"{CODED} -map 0:v -map 1:a"
    subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(),
            *("-hide_banner", "-loglevel", "error", "-y"),
            *inputs,
            *f"{coded} {HLS} film.m3u8 {coded} {DASH}".split(),
            *("-adaptation_sets", "id=0,streams=v id=1,streams=a", "film.mpd"),
        ],
        cwd=directory,
        check=True,
        timeout=60,
    )
