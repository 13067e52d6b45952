"""Fetches the wheels of wheels.lock into build/wheels, for tests that read real packages; nothing is installed."""

import hashlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = Path(__file__).with_name("wheels.lock")
FOLDER = ROOT / "build" / "wheels"
# A wheel for CPython 3.11 on the target's Debian, whatever Python runs the tests.
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(36, 16, -1)] + ["manylinux2014_x86_64"]
OPTIONS = [
    *("--no-deps", "--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.11"),
    *(word for abi in ("cp311", "abi3", "none") for word in ("--abi", abi)),
    *(word for platform in PLATFORMS for word in ("--platform", platform)),
]
LINES = [line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
NAMES = [line.partition("==")[0] for line in LINES]


class FetchFailed(Exception):
    """pip did not bring the wheel; the text is what it said."""


@cache
def wheel(name: str) -> Path:
    """Give the path of a locked wheel, verified; fetched when it is not there.

    Raises:
        FetchFailed: there is no index, or it has no such file.
    """
    line = LINES[NAMES.index(name)]
    digest = line.rpartition(":")[2]
    found = _found(line, digest)
    if found is None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        lock = FOLDER / f"{name}.lock"
        lock.write_text(line + "\n")
        pip = [sys.executable, "-m", "pip", "download", "-q", "-d", str(FOLDER)]
        done = subprocess.run(
            [*pip, *OPTIONS, "--require-hashes", "-r", str(lock)], capture_output=True, text=True, check=False
        )
        lock.unlink()
        found = _found(line, digest)
        if done.returncode or found is None:
            raise FetchFailed(done.stderr)
    return found


def _found(line: str, digest: str) -> Path | None:
    name, _, version = line.partition(" ")[0].partition("==")
    stem = re.sub(r"[-_.]+", "_", name)
    for path in FOLDER.glob(f"{stem}-{version}-*.whl"):
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == digest:
                return path
    return None
