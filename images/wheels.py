"""Fetches the Python wheels that go into the image, for the target's platform, with pip and hash-pinned."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from images.architecture import Architecture
from images.errors import BuildFailed

PYTHON = "3.11"  # of Debian bookworm, the target userland


def fetch_wheels(lock: Path, architecture: Architecture, cache: Path) -> list[Path]:
    """The wheels that `lock` names, from the cache or with pip from the index it is configured with.

    Raises:
        BuildFailed: pip cannot fetch them; with the end of what it said.
    """
    key = hashlib.sha256(lock.read_bytes() + architecture.name.encode()).hexdigest()[:16]
    folder = cache / "wheels" / key
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{key}.") as scratch:
            _download(lock, architecture, Path(scratch) / "wheels")
            try:
                (Path(scratch) / "wheels").rename(folder)
            except OSError:  # another build was faster
                if not folder.is_dir():
                    raise
    return sorted(folder.glob("*.whl"))


def _download(lock: Path, architecture: Architecture, into: Path) -> None:
    platforms = [word for tag in architecture.wheel_platforms for word in ("--platform", tag)]
    target = ["--python-version", PYTHON, "--implementation", "cp", "--abi", f"cp{PYTHON.replace('.', '')}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", *target, *platforms]
    command += ["--dest", str(into), "--requirement", str(lock)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        said = "\n    ".join(done.stderr.strip().splitlines()[-5:])
        raise BuildFailed(
            f"pip could not fetch the wheels of {lock.name} for {architecture.name}; mend the network or pip's "
            f"configuration and build again. It said:\n    {said}"
        )
