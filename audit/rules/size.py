"""Where do bytes lie that nobody needs?"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.analysis import Analysis
    from audit.leftovers import Kind

MIB = 1 << 20
SHOWN = 3


def _debug(analysis: Analysis, config: Mapping[str, float]) -> Iterator[Verdict]:
    """Debug sections and symbol tables are not loaded: strip(1) removes them."""
    found = analysis.strippable
    total = sum(one.size for one in found.values())
    if total >= max(1, config["bytes"]):
        parts = {
            "debug": sum(one.debug for one in found.values()),
            "symbols": sum(one.symbols for one in found.values()),
            "not loaded": sum(one.unloaded for one in found.values()),
        }
        told = ", ".join(f"{size:,} {part}" for part, size in parts.items() if size)
        yield Verdict(
            analysis.target.name,
            f"{total:,} bytes in {counted(len(found), 'file')} ({told}): "
            + _largest({path: one.size for path, one in found.items()}),
            "run strip --strip-unneeded on a copy, and audit that: strip breaks what patchelf has changed",
        )


def _duplicates(analysis: Analysis, config: Mapping[str, float]) -> Iterator[Verdict]:
    """Of equal files all but one are waste; wheels store what is a symlink elsewhere."""
    groups = analysis.duplicates.groups
    total = sum(group.wasted for group in groups)
    if total >= max(1, config["bytes"]):
        shown = "; ".join(f"{' = '.join(group.paths[:SHOWN])} ({group.wasted:,})" for group in groups[:SHOWN])
        unread = analysis.duplicates.unread
        more = counted(unread, "file of equal size was", "files of equal size were")
        yield Verdict(
            analysis.target.name,
            f"{total:,} bytes in {counted(len(groups), 'group')} of equal files: {shown}"
            + (f"; {more} too much to compare" if unread else ""),
            "keep one of each, and make the others symlinks where the packaging allows it",
        )


def _hidden(analysis: Analysis, config: Mapping[str, float]) -> Iterator[Verdict]:
    """What a later layer overwrites or deletes is still stored and pulled: layers only add."""
    layers = analysis.target.layers
    wasted: Counter[str] = Counter()
    for layer in layers:
        for lost in layer.lost:
            wasted[lost.path] += lost.size
    total, whole = sum(wasted.values()), sum(layer.size for layer in layers)
    if total >= max(1, config["bytes"]) and total >= config["share"] * whole:
        deleted = sum(lost.size for layer in layers for lost in layer.lost if lost.deleted)
        if deleted in {0, total}:
            how = f"all of them {'deleted' if deleted else 'overwritten'}"
        else:
            how = f"{deleted:,} of them deleted, the rest overwritten"
        python = sum(
            size for path, size in wasted.items() if "/site-packages/" in path or "/dist-packages/" in path
        )
        yield Verdict(
            analysis.target.name,
            f"{total:,} bytes ({total / whole:.1%} of the layers) are hidden by later layers, {how}: "
            f"{_largest(wasted)}",
            "create and remove it in one RUN, set modes and owners with COPY --chmod and --chown"
            + ("; install with one pip command" if python * 2 > total else ""),
        )


def _outside(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A link that leaves the package leads to whatever lies there, and careful unpackers refuse it."""
    found = [link for link in analysis.bad_links if link.fault == "outside"]
    if found:
        shown = ", ".join(f"{link.path} to {link.target}" for link in found[:SHOWN])
        yield Verdict(
            analysis.target.name,
            f"{counted(len(found), 'symlink leads', 'symlinks lead')} out of the package: {shown}",
            "put the file itself into the package, or make the link relative and within it",
        )


def _dangling(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A link to nothing is a file that is missing, or a leftover."""
    found = [link for link in analysis.bad_links if link.fault != "outside"]
    if found:
        shown = ", ".join(f"{link.path} to {link.target}" for link in found[:SHOWN])
        yield Verdict(
            analysis.target.name,
            f"{len(found):,} symlink{'s' if len(found) > 1 else ''} to nothing, or in a circle: {shown}",
            "remove them, or add what they lead to",
        )


def _left(analysis: Analysis, config: Mapping[str, float], *, kinds: tuple[Kind, ...]) -> Iterator[Verdict]:
    """What a build needs, or made on its way, is not needed to run."""
    found = {one.path: one for one in analysis.leftovers if one.kind in kinds}
    total = sum(one.size for one in found.values())
    if total >= max(1, config["bytes"]):
        packages: Counter[str] = Counter()
        for one in found.values():
            packages[one.package] += one.size
        most = ", ".join(f"{name} {size:,}" for name, size in packages.most_common(SHOWN))
        yield Verdict(
            analysis.target.name,
            f"{total:,} bytes in {counted(len(found), 'file')} (most in {most}): "
            + _largest({path: one.size for path, one in found.items()}),
            "leave them out, or remove them in the build step that brings them",
        )


def _largest(sizes: Mapping[str, int]) -> str:
    ordered: Iterable[tuple[str, int]] = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{path} {size:,}" for path, size in list(ordered)[:SHOWN])


_MATTERS = "it counts against the platform's limit, and is stored, pulled and unpacked at every cold start"

RULES = (
    Rule(
        key="hidden-in-layers",
        severity=Severity.WARNING,
        judge=_hidden,
        means="files of one layer are overwritten or deleted by a later one",
        matters="layers only add: the hidden bytes are stored and pulled all the same",
        mend="create and remove a file in one RUN; set mode and owner with COPY --chmod and --chown; install Python "
        "packages with one pip command",
        source="OCI image-spec, layer.md, 'Applying Changesets'",
        config={"bytes": MIB, "share": 0.02},
    ),
    Rule(
        key="symlink-leaves-package",
        severity=Severity.WARNING,
        judge=_outside,
        means="a symlink of a zip or folder is absolute, or climbs above its top with ..",
        matters="it leads to whatever lies there where the package is unpacked, and careful unpackers refuse it",
        mend="put the file itself into the package, or make the link relative and within it",
        source="path_resolution(7); symlink(7)",
    ),
    Rule(
        key="cache-left-behind",
        severity=Severity.WARNING,
        judge=partial(_left, kinds=("cache", "orphan")),
        means="package indexes, download caches, logs, version-control folders or orphaned byte code are inside",
        matters=_MATTERS,
        mend="remove them in the build step that makes them; use --no-cache-dir (pip), cache mounts (apt)",
        source="FHS 3.0, /var/cache and /var/log; PEP 3147; apt-get(8), clean",
        config={"bytes": MIB},
    ),
    Rule(
        key="debug-left-behind",
        severity=Severity.NOTE,
        judge=_debug,
        means="programs and libraries carry debug sections or the symbol table that only linkers read",
        matters=f"the loader reads neither; {_MATTERS}",
        mend="strip --strip-unneeded, then audit the result: strip breaks some files that patchelf has changed",
        source="strip(1); gABI chapter 4, 'Special Sections'",
        config={"bytes": 64 << 10},
    ),
    Rule(
        key="duplicate-content",
        severity=Severity.NOTE,
        judge=_duplicates,
        means="files of at least 4096 bytes with equal content; hard links are not counted",
        matters=_MATTERS,
        mend="keep one, and make the others symlinks; wheels cannot hold symlinks, a zip or image can",
        source="PEP 427 (wheels hold regular files); APPNOTE.TXT (zip deflates each file on its own)",
        config={"bytes": 64 << 10},
    ),
    Rule(
        key="tests-left-behind",
        severity=Severity.NOTE,
        judge=partial(_left, kinds=("test",)),
        means="folders of tests in Python's library, in Python packages or in npm packages",
        matters=_MATTERS,
        mend="remove the folders; a package that imports its own tests is rare: verify what is left",
        source="Python library reference, test: 'for internal use by Python only'; docs.npmjs.com, package.json, files",
        config={"bytes": 64 << 10},
    ),
    Rule(
        key="development-files",
        severity=Severity.NOTE,
        judge=partial(_left, kinds=("development",)),
        means="headers, static libraries, libtool archives, sources of extensions, pkg-config and CMake files",
        matters=f"only compilers and linkers read them; {_MATTERS}",
        mend="remove them, unless something compiles at run time",
        source="Debian policy 8.4, 'Development files'; FHS 3.0, /usr/include",
        config={"bytes": 64 << 10},
    ),
    Rule(
        key="documentation-files",
        severity=Severity.NOTE,
        judge=partial(_left, kinds=("documentation", "locale")),
        means="manuals, documents and translations; copyright files are not counted",
        matters=f"nobody reads them in a container; {_MATTERS}",
        mend="dpkg: path-exclude in /etc/dpkg/dpkg.cfg.d before packages are installed; else remove the folders",
        source="FHS 3.0, /usr/share; dpkg(1), --path-exclude",
        config={"bytes": 64 << 10},
    ),
    Rule(
        key="dangling-symlink",
        severity=Severity.NOTE,
        judge=_dangling,
        means="a symlink leads to nothing, or in a circle; links into /proc, /run and the like are not counted",
        matters="it is a file that is missing, or something that was forgotten",
        mend="remove it, or add what it leads to",
        source="symlink(7); path_resolution(7), ELOOP",
    ),
)
