"""Does the image hold what an attacker likes to find?"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from audit.accounts import Kind, accounts, id_of
from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import counted, some
from audit.secrets import LEAST_TEXT, MAX_TEXT, MAX_TEXT_IN_ALL, is_secret, secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.analysis import Analysis
    from audit.tree import Entry, Tree

SET_ID = 0o6000
STICKY = 0o1000
OTHERS_WRITE = 0o002
SHOWN = 6
SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "toybox")
PACKAGE_MANAGERS = (
    "apt",
    "apt-get",
    "dpkg",
    "apk",
    "rpm",
    "dnf",
    "microdnf",
    "yum",
    "zypper",
    "pip",
    "pip3",
    "npm",
)


def _root_user(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """An image without USER, or with user 0, runs its process as root."""
    if analysis.target.form != "image":
        return
    user = analysis.target.config.user.partition(":")[0]
    if user == "" or id_of(user, accounts(analysis.target, "passwd")) == 0:
        yield Verdict(
            analysis.target.name,
            f"its process runs as root ({f'USER {user}' if user else 'no USER is set'})",
            "set USER to another than 0, unless the platform sets one itself",
        )


def _unknown_user(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A USER given by name must stand in /etc/passwd, its group in /etc/group."""
    if analysis.target.form != "image":
        return
    user, _colon, group = analysis.target.config.user.partition(":")
    named: tuple[tuple[str, Kind], ...] = ((user, "passwd"), (group, "group"))
    for name, kind in named:
        if name and id_of(name, accounts(analysis.target, kind)) is None:
            yield Verdict(
                f"/etc/{kind}",
                f"USER {analysis.target.config.user}: {name} is not listed there, so no container starts",
                f"name it by number, or add it to /etc/{kind}",
            )


def _set_id(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A set-user-ID or set-group-ID program runs with its owner's rights, whoever starts it."""
    found = [
        f"{path} ({_mode(entry)}, {'user' if entry.mode & 0o4000 else 'group'} "
        f"{entry.uid if entry.mode & 0o4000 else entry.gid})"
        for path, entry in system_files(analysis)
        if entry.kind == "file" and entry.mode & SET_ID and entry.mode & 0o111
    ]
    yield from _together(
        analysis,
        found,
        "set-user-ID or set-group-ID program",
        "clear the bits (chmod a-s), or leave the packages out that bring them",
    )


def _world_writable(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """In a folder that all may write and that has no sticky bit, each may replace the files of the others."""
    found = [
        f"{path} ({_mode(entry)})"
        for path, entry in system_files(analysis)
        if entry.kind == "dir" and entry.mode & OTHERS_WRITE and not entry.mode & STICKY
    ]
    yield from _together(
        analysis,
        found,
        "folder that everybody may write, without the sticky bit",
        "chmod o-w, or +t as on /tmp",
        "folders that everybody may write, without the sticky bit",
    )


def _shell(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A shell is the first thing that code injected into a process starts."""
    yield from _programs(
        analysis, SHELLS, "shell", "copy only what the program needs into a last stage FROM scratch"
    )


def _package_manager(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A package manager is only of use while the image is built."""
    yield from _programs(
        analysis, PACKAGE_MANAGERS, "package manager", "build in one stage, and copy the result into another"
    )


def _secret(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Whoever may pull an image reads its environment, labels and history."""
    if analysis.target.form != "image":
        return
    config = analysis.target.config
    remedy = "revoke it, and pass it at build time as a secret mount, at run time as a parameter"
    seen: set[str] = set()
    room = MAX_TEXT_IN_ALL
    places = (
        *((f"env {name}", "", name, value) for name, value in config.environment.items()),
        *((f"label {name}", "", name, value) for name, value in config.labels.items()),
        *(("history", f"in step {at}, ", "", line) for at, line in enumerate(config.history, 1)),
    )
    for place, step, name, text in places:
        # ENV and LABEL stand in the history as well: one report is enough.
        told = seen if place == "history" else frozenset[str]()
        found = dict.fromkeys(secrets_in(text[:room], told) if room else ())
        room = max(0, room - min(max(len(text), LEAST_TEXT), MAX_TEXT))
        if is_secret(name, text):
            found[name] = None
        seen.update(found)
        if found:
            message = f"{step}looks like a secret: {some([*found], SHOWN)} (its value is not repeated here)"
            yield Verdict(place, message, remedy, about=", ".join(found))


def system_files(analysis: Analysis) -> Iterator[tuple[str, Entry]]:
    """List what has owners and modes that will count: the files of an image or of a root file system's tar."""
    if _is_system(analysis.target):
        yield from analysis.target.entries.items()


def _is_system(tree: Tree) -> bool:
    """Tell a root file system; a tar of sources has owners, too, that no one unpacks."""
    return tree.form == "image" or (tree.form == "tar" and tree.resolve("/etc/passwd") is not None)


def _programs(analysis: Analysis, names: Iterable[str], what: str, remedy: str) -> Iterator[Verdict]:
    tree = analysis.target
    if not _is_system(tree):
        return
    folders = tree.config.search_path
    found: dict[str, str] = {}
    for place in (posixpath.join(folder, name) for folder in folders for name in names):
        real = tree.resolve(place) if place.startswith("/") else None
        if real is not None and tree.entries[real].kind == "file" and tree.entries[real].mode & 0o111:
            found.setdefault(real, place)
    yield from _together(analysis, list(found.values()), what, remedy)


def _together(
    analysis: Analysis, found: list[str], what: str, remedy: str, plural: str = ""
) -> Iterator[Verdict]:
    """Yield one verdict for all that was found: what is wrong is the image, not each file of a package."""
    if found:
        yield Verdict(
            analysis.target.name, f"{counted(len(found), what, plural)}: {some(found, SHOWN)}", remedy
        )


def _mode(entry: Entry) -> str:
    return f"{entry.mode & 0o7777:04o}"


RULES = (
    Rule(
        key="unknown-user",
        severity=Severity.ERROR,
        judge=_unknown_user,
        means="the image's USER names an account that its /etc/passwd or /etc/group does not list",
        matters="the engine refuses to start a container: 'unable to find user'",
        mend="give USER as a number, or add the account",
        source="OCI image-spec, config.md, 'User'; moby, daemon/exec_linux.go and oci_linux.go, getUser",
    ),
    Rule(
        key="secret",
        severity=Severity.WARNING,
        judge=_secret,
        means="the environment, a label or the history of the image, in their first MiB, holds what looks like a key, "
        "token or password",
        matters="whoever may pull the image can read it with `docker inspect` or `docker history`, also after it was "
        "deleted in a later layer",
        mend="revoke it; pass secrets to a build with RUN --mount=type=secret, to a container as parameters",
        source="docs.docker.com, 'Build secrets'; CIS Docker Benchmark 4.10",
    ),
    Rule(
        key="set-id",
        severity=Severity.WARNING,
        judge=_set_id,
        means="programs run with the rights of their owner or group, whoever starts them",
        matters="a fault in one of them makes any user of the container root",
        mend="RUN find / -xdev -perm /6000 -type f -exec chmod a-s {} +, or leave their packages out",
        source="execve(2), 'Effect on set-user-ID'; CIS Docker Benchmark 4.8",
    ),
    Rule(
        key="world-writable",
        severity=Severity.WARNING,
        judge=_world_writable,
        means="a folder may be written by everybody and lacks the sticky bit",
        matters="any process may delete and replace what others put there, libraries and programs included",
        mend="chmod o-w; where all must write, chmod 1777 as on /tmp",
        source="inode(7), 'The file type and mode', S_ISVTX; unlink(2), EPERM",
    ),
    Rule(
        key="root-user",
        severity=Severity.NOTE,
        judge=_root_user,
        means="the process of the container runs as user 0",
        matters="a fault in the action has all rights inside the container, and more ways out of it; a platform that "
        "sets no user itself (OpenWhisk does not) runs it like that",
        mend="USER with a number other than 0, if nothing in the image must write to root's files",
        source="CIS Docker Benchmark 4.1; OCI image-spec, config.md, 'User'",
    ),
    Rule(
        key="shell",
        severity=Severity.NOTE,
        judge=_shell,
        means="a shell is on the PATH of the image",
        matters="code that gets into the process finds it first; a server of one program does not need it",
        mend="copy only the closure of the program into a last stage FROM scratch",
        source="NIST SP 800-190, 4.1.2 'Image configuration defects'; execvp(3)",
    ),
    Rule(
        key="package-manager",
        severity=Severity.NOTE,
        judge=_package_manager,
        means="a package manager is on the PATH of the image",
        matters="it is of use only while the image is built, and brings in whatever an intruder likes",
        mend="build in one stage, and copy the result into another",
        source="CIS Docker Benchmark 4.3; NIST SP 800-190, 4.1.2",
    ),
)
