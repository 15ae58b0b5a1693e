"""Install a headless browser for the tests, unless there is one.

On Debian, as root, the distribution's package; elsewhere the browser that Playwright downloads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from find_browser import VARIABLE, find_browser


def install() -> None:
    release = Path("/etc/os-release")
    is_debian = release.is_file() and "\nID=debian" in "\n" + release.read_text(encoding="utf-8")
    if is_debian and os.geteuid() == 0:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
        ):
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


if __name__ == "__main__":
    if find_browser() is None:
        try:
            install()
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(
                f"No browser for the tests, and none could be installed ({error}). Install Chromium, "
                f"or name the program in {VARIABLE}."
            )
    sys.stdout.write(f"Browser for the tests: {find_browser()}\n")
