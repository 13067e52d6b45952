"""Installs Debian packages on this machine where it is a Debian or Ubuntu and that needs no question."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from images.errors import AptFailed

_ENVIRONMENT = ("env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
_PATIENCE = ("-o", "DPkg::Lock::Timeout=120")  # seconds, for another apt-get to finish
_TAIL_LINES = 15  # of what apt-get said, in the error


def families(release: Mapping[str, str]) -> tuple[str, ...]:
    """The distribution that os-release(5) describes and those it is like, nearest first."""
    return tuple(name for name in (release.get("ID", ""), *release.get("ID_LIKE", "").split()) if name)


def here() -> bool:
    """Whether this machine is Debian, Ubuntu or like one of them."""
    return not {"debian", "ubuntu"}.isdisjoint(distribution())


def distribution() -> tuple[str, ...]:
    """`families` of this machine; empty where nothing says so."""
    try:
        return families(platform.freedesktop_os_release())
    except OSError:
        return ()


def privilege() -> list[str] | None:
    """What goes before a command that needs root: nothing as root, sudo if it asks no password, else None."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], check=False, capture_output=True).returncode == 0:
        return [sudo, "-n"]
    return None


def find(program: str) -> str | None:
    """The path of `program`, which may be one that only root has on PATH."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin")


def install(packages: Sequence[str]) -> None:
    """Install Debian packages, without those that they merely recommend.

    Raises:
        AptFailed: this is no Debian, there is no root, or apt-get failed; with the end of what it said.
    """
    root = privilege() if here() else None
    if root is None:
        raise AptFailed(
            f"{' '.join(packages)} must be installed by hand: this is no Debian, or you are not root"
        )
    for arguments in (("update",), ("install", "-y", "--no-install-recommends", *packages)):
        done = subprocess.run(
            [*root, *_ENVIRONMENT, "apt-get", "-qq", *_PATIENCE, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = "\n    ".join((done.stdout + done.stderr).strip().splitlines()[-_TAIL_LINES:])
            raise AptFailed(
                f"`apt-get {' '.join(arguments)}` failed; mend what it says below, or install "
                f"{' '.join(packages)} yourself:\n    {said}"
            )
