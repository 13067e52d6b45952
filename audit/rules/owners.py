"""Do all files belong to accounts that the image has?"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from audit.accounts import accounts, id_of
from audit.rules.hygiene import system_files
from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import counted, some

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.analysis import Analysis
    from audit.tree import Entry, Tree

SHOWN = 6
KINDS = {"file": "file", "dir": "folder", "symlink": "symlink", "other": "device or pipe"}
# What gave a file its owner, and what to do there. As root, npm and tar keep the number that the packer had.
OWNER_REMEDIES = {
    "chown": "add the account, or chown to the number of one that is there",
    "COPY": "copy them with --chown=0:0",
    "ADD": "ADD keeps the numbers of an archive: unpack it in a RUN with tar --no-same-owner",
    "RUN": "npm and tar keep the packer's number: add chown -R 0:0 to the same RUN, or use tar --no-same-owner",
    "": "chown -R 0:0 them where npm or tar unpacks them (tar: --no-same-owner), or add the account",
}


def _unknown_owner(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Files of a number without a name belong to whomever is given that number later."""
    users = {0, *accounts(analysis.target, "passwd").values()}
    groups = {0, *accounts(analysis.target, "group").values()}
    runs_as = id_of(analysis.target.config.user.partition(":")[0], {})
    if runs_as is not None:  # an image may give its user by number alone
        users.add(runs_as)
        groups.add(runs_as)
    owners: Counter[str] = Counter()
    example: dict[str, str] = {}
    strangers: dict[str, int] = {}
    for path, entry in system_files(analysis):
        if entry.uid not in users:
            owner, strangers[path] = f"user {entry.uid}", entry.uid
        elif entry.gid not in groups:
            owner, strangers[path] = f"group {entry.gid}", entry.gid
        else:
            continue
        owners[owner] += 1
        example.setdefault(owner, path)
    found = [f"{owner} of {count:,} such as {example[owner]}" for owner, count in owners.most_common()]
    if found:
        yield Verdict(
            analysis.target.name,
            f"{_kinds(analysis.target.entries[path] for path in strangers)} of owners that /etc/passwd or "
            f"/etc/group do not list: {some(found, SHOWN)}",
            "; ".join(OWNER_REMEDIES[maker] for maker in _makers(analysis.target, strangers)),
        )


def _makers(tree: Tree, strangers: Mapping[str, int]) -> list[str]:
    """Name what gave files their owners (numbers by path), as keys of OWNER_REMEDIES; layers list no folders."""
    folders = {str(owner) for path, owner in strangers.items() if tree.entries[path].kind == "dir"}
    found = set()
    for layer in tree.layers:
        command = layer.command.removeprefix("/bin/sh -c #(nop)").lstrip()
        given = {*re.findall(r"[0-9]+", command)} if "chown" in command else set()
        own = {str(strangers[path]) for path in layer.paths & strangers.keys()}
        if given & (own | folders):
            found.add("chown")
        if own - given:
            verb = command.partition(" ")[0]
            found.add(verb if verb in OWNER_REMEDIES else "RUN" if command else "")
    return [maker for maker in OWNER_REMEDIES if maker in found] or [""]


def _kinds(entries: Iterable[Entry]) -> str:
    """Count files, folders and symlinks apart: `3 files and 1 folder`."""
    counts = Counter[str](entry.kind for entry in entries)
    words = [counted(counts[kind], word) for kind, word in KINDS.items() if counts[kind]]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


RULES = (
    Rule(
        key="unknown-owner",
        severity=Severity.NOTE,
        judge=_unknown_owner,
        means="files or folders belong to a user or group number that no account of the image has",
        matters="the number is one of the machine that packed them; an account made later may get it",
        mend="npm and tar as root keep the packer's number: chown -R 0:0 in the same RUN, or tar --no-same-owner; "
        "after a chown add the account, or use the number of one that is there",
        source="chown(2); passwd(5); group(5); tar(1), --same-owner",
    ),
)
