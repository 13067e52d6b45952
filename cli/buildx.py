"""Brings `docker buildx` for the tests of builds: Debian bookworm, whose engine speaks BuildKit, does not have it."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from images.base.sources import configured

PACKAGE = "docker-buildx"
SUITE = "trixie"  # the first that has it; it is one file, linked with nothing newer than bookworm has
PLUGIN = "usr/libexec/docker/cli-plugins/docker-buildx"
_TAIL_CHARACTERS = 500


def fetch_buildx(folder: Path, report: Callable[[str], None]) -> str:
    """Put the plugin into `folder`, which is then what DOCKER_CONFIG may name; returns why not, "" if it is there.

    The package is unpacked, not installed, and comes from the archive that this machine's apt is configured with.
    """
    plugin = folder / "cli-plugins" / Path(PLUGIN).name
    if plugin.is_file():
        return ""
    source = next((source for source in configured() if "-" not in source.suite), None)
    if source is None or not shutil.which("dpkg-deb"):
        return "this machine's apt is configured with no Debian archive"
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "sources.list").write_text(replace(source, suite=SUITE).line + "\n")
    apt = ["apt-get", "-qq", *(f"-o{name}" for name in _options(work))]
    # The one that was downloaded, whatever its version.
    unpack = ["sh", "-c", "dpkg-deb --extract *.deb package"]
    report(f"fetching {PACKAGE} of Debian {SUITE}, to be unpacked in {folder}")
    for command in ([*apt, "update"], [*apt, "download", PACKAGE], unpack):
        done = subprocess.run(command, cwd=work, check=False, capture_output=True, text=True)
        if done.returncode:
            return (
                f"{PACKAGE} could not be fetched: {(done.stdout + done.stderr).strip()[-_TAIL_CHARACTERS:]}"
            )
    plugin.parent.mkdir(parents=True, exist_ok=True)
    (work / "package" / PLUGIN).replace(plugin)
    shutil.rmtree(work)
    return ""


def _options(work: Path) -> tuple[str, ...]:
    """What keeps apt to `work`: it changes nothing of this machine's, and needs no root."""
    return (
        f"Dir::State::lists={work}/lists",
        f"Dir::Cache={work}/cache",
        f"Dir::Etc::sourcelist={work}/sources.list",
        "Dir::Etc::sourceparts=/dev/null",
        "APT::Sandbox::User=",
        "Acquire::Languages=none",
    )
