"""Installs what the foreign peers of the tests need from npm: `python -m tests.foreign.install`, all at once.

A test that needs one asks for it too, and waits for whoever is installing it: see tests.support.npm_installed.
"""

import fcntl
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
_COMMAND: Final = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")


def installed(folder: Path) -> str:
    """Have the packages that a package.json names in `node_modules` beside it; "", or why they are not there."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if has_what_is_named(folder):
            return ""
        npm = shutil.which("npm")
        if npm is None:
            return "npm is not installed: apt-get install npm"
        done = subprocess.run([npm, *_COMMAND], cwd=folder, capture_output=True, text=True, check=False)
        return f"the packages of {folder.name} cannot be installed: {done.stderr[-500:]}" if done.returncode else ""


def has_what_is_named(folder: Path) -> bool:
    """Whether npm's own list, which it writes when it is done, has each package in the version that is named."""
    named: dict[str, str] = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
    try:
        there = json.loads((folder / "node_modules" / ".package-lock.json").read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError):
        return False
    return all(
        there.get(f"node_modules/{name}", {}).get("version") == version.rpartition("@")[2]
        for name, version in named.items()
    )


if __name__ == "__main__":
    with ThreadPoolExecutor() as pool:
        reasons = set(pool.map(installed, (one.parent for one in FOLDER.glob("*/package.json"))))
    sys.stderr.writelines(f"tests that need it are skipped (in CI they fail): {one}\n" for one in reasons if one)
