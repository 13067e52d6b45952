"""Which Debian archive this machine's own apt is configured with, as lines for the base's sources.list."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
_POCKETS = ("", "updates", "security")  # proposed updates and backports are no base to build on
_FIELDS = ("REPO_URI", "CODENAME", "ORIGIN", "LABEL", "COMPONENT", "CREATED_BY", "SOURCESENTRY")
_SIGNED_BY = re.compile(r"signed-by\s*[:=]\s*(/[^\s,\]]+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One line of sources.list(5)."""

    uri: str
    suite: str
    signed_by: str = ""  # a keyring's path; "" leaves it to what apt trusts anyway

    @property
    def line(self) -> str:
        option = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {option}{self.uri} {self.suite} main"


def configured() -> tuple[Source, ...]:
    """The sources of bookworm that this machine's apt points to; empty if it points to no Debian archive.

    A machine with another release of Debian gives its mirror, under bookworm's suites.
    """
    try:
        listed = subprocess.run(
            ["apt-get", "indextargets", "--format", "\t".join(f"$({field})" for field in _FIELDS)],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ()
    entries = (line.split("\t") for line in listed.stdout.splitlines())
    found = (
        _source(dict(zip(_FIELDS, entry, strict=True))) for entry in entries if len(entry) == len(_FIELDS)
    )
    return tuple(dict.fromkeys(source for source in found if source))  # once each, in apt's order


def _source(target: dict[str, str]) -> Source | None:
    """The source behind one index target of apt, None unless it is Debian's main archive.

    Origin and label come from the signed Release file, so a third party's archive is not taken for Debian's.
    """
    pocket = target["CODENAME"].partition("-")[2]
    if (
        target["ORIGIN"] != "Debian"
        or target["LABEL"] not in ("Debian", "Debian-Security")
        or target["COMPONENT"] != "main"
        or target["CREATED_BY"] != "Packages"
        or pocket not in _POCKETS
        or not target["REPO_URI"].startswith(("http://", "https://"))
    ):
        return None
    return Source(
        uri=target["REPO_URI"].rstrip("/"),
        suite=f"{SUITE}-{pocket}" if pocket else SUITE,
        signed_by=_keyring(target["SOURCESENTRY"]),
    )


def _keyring(entry: str) -> str:
    """The keyring that the entry `FILE:NUMBER` of apt's configuration names; apt itself does not tell it.

    NUMBER counts lines in a `.list` file and stanzas in a `.sources` file, from 1.
    """
    path, _, number = entry.rpartition(":")
    try:
        text = Path(path).read_text()
        parts = re.split(r"\n\s*\n", text.strip()) if path.endswith(".sources") else text.splitlines()
        found = _SIGNED_BY.search(parts[int(number) - 1])
    except (OSError, ValueError, IndexError):
        return ""
    return found[1] if found else ""
