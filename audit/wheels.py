"""Python distributions in a tree: what their WHEEL and METADATA files, and a wheel's name, say they need."""

from __future__ import annotations

import posixpath
import re
from contextlib import suppress
from dataclasses import dataclass
from email.parser import HeaderParser
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from audit.errors import UnreadableEntryError
from audit.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from audit.interpreter import Libc
    from audit.tree import Tree

# Far above any real file; what lies beyond is not read. A tag with many alternatives is a product of them.
_MAX_METADATA_BYTES = 256 << 10  # the headers; a description follows
_MAX_DISTRIBUTIONS = 1000
_MAX_TAG_LINES = 16
_MAX_ALTERNATIVES = 9
_MAX_REQUIREMENTS = 5000
_MAX_REQUIREMENT = 400
_MAX_PYTHON = 100
_MAX_PARENTHESES = 8  # in a marker; its parser is recursive
_FOLDER = re.compile(r"(?P<name>[^/-]{1,200})-(?P<version>[^/]{1,100})\.dist-info")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_CPYTHON_ABI = re.compile(r"cp3(\d{1,3})(t?)m?")
_PATCHES = 40  # more releases than any 3.x has had
_OLDEST_MANYLINUX = 5
_LEGACY = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_MUSL = 5  # musl 1.5 does not exist yet; its version is not known from its files


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One `.dist-info` folder. `name` and `version` are as in the folder's name, and as `sizes.Package` has them.

    `tags` are those of WHEEL, `named` those of the wheel's file name where it is one; either may be empty.
    `requires_python` and `requires` (its requirements as written) are from METADATA.
    """

    folder: str
    name: str
    version: str
    tags: frozenset[Tag] = frozenset()
    named: frozenset[Tag] = frozenset()
    requires_python: str = ""
    requires: tuple[str, ...] = ()

    @property
    def site(self) -> str:
        """The folder on the module path in which the distribution is installed."""
        return posixpath.dirname(self.folder)

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags under which it is given out, sorted; `any` is none."""
        return tuple(sorted({tag.platform for tag in self.named or self.tags} - {"any"}))

    @property
    def release(self) -> tuple[int, ...] | None:
        """The numbers of its version; None when it is no version (PEP 440)."""
        try:
            return Version(self.version).release
        except (InvalidVersion, ValueError):
            return None

    @property
    def interpreters(self) -> tuple[Interpreter, ...]:
        """The CPythons that its tags name one by one, sorted; none for the stable ABI and for pure Python."""
        found = {
            Interpreter(minor=int(match[1]), threaded=bool(match[2]))
            for tag in self.named or self.tags
            if (match := _CPYTHON_ABI.fullmatch(tag.abi))
        }
        return tuple(sorted(found))

    def is_for(self, interpreter: Interpreter, libc: Libc | None, machine: str) -> bool:
        """Tell whether pip would install it there by its tags: for a CPython; True when it has none."""
        tags = self.named or self.tags
        return not tags or bool(tags & _supported(interpreter, libc, machine))

    def takes(self, interpreter: Interpreter) -> bool:
        """Tell whether Requires-Python admits some release of the interpreter; True when it says nothing."""
        try:
            specifiers = SpecifierSet(self.requires_python)
        except (InvalidSpecifier, ValueError):
            return True
        releases = (f"3.{interpreter.minor}.{patch}" for patch in range(_PATCHES))
        return any(specifiers.contains(release, prereleases=True) for release in releases)

    def admits(self, project: str, releases: Iterable[str], minor: int) -> bool | None:
        """Tell whether its requirements let any of a project's releases in; None: it does not require it.

        `minor` is the Python 3.`minor` for which markers are evaluated; those of extras are not asked for.
        """
        lines = (line for line in self.requires if _is_about(line, project))
        found = list(_specifiers(islice(lines, _MAX_ALTERNATIVES), minor))
        if not found:
            return None
        return any(all(one.contains(release, prereleases=True) for one in found) for release in releases)


def distributions(tree: Tree, paths: Iterable[str]) -> tuple[Distribution, ...]:
    """Read the distributions among `paths` that have a METADATA or WHEEL file, in the order of the tree."""
    folders = dict.fromkeys(
        folder
        for path in paths
        if path.endswith((".dist-info/METADATA", ".dist-info/WHEEL"))
        and _FOLDER.fullmatch(posixpath.basename(folder := posixpath.dirname(path)))
    )
    return tuple(_distribution(tree, folder) for folder in list(folders)[:_MAX_DISTRIBUTIONS])


def wheel_name_tags(path: str) -> frozenset[Tag]:
    """Give the tags in the file name of a wheel; none for another name."""
    name = posixpath.basename(path)
    if not name.endswith(".whl") or len(name) > 255:
        return frozenset()
    try:
        return parse_wheel_filename(name)[3]
    except (InvalidWheelFilename, ValueError):
        return frozenset()


@cache
def _supported(interpreter: Interpreter, libc: Libc | None, machine: str) -> frozenset[Tag]:
    """List every tag that pip would take for a CPython on a machine (PEP 425, 600 and 656)."""
    platforms = list(_platforms(libc, machine))
    version = (3, interpreter.minor)
    name = f"cp3{interpreter.minor}"
    abi = f"{name}t" if interpreter.threaded else name
    return frozenset(
        (
            *cpython_tags(version, abis=[abi], platforms=platforms),
            *compatible_tags(version, interpreter=name, platforms=platforms),
        )
    )


def _is_about(line: str, project: str) -> bool:
    name = _NAME.match(line)
    return name is not None and canonicalize_name(name[0]) == canonicalize_name(project)


def _specifiers(lines: Iterable[str], minor: int) -> Iterator[SpecifierSet]:
    """Read what requirements ask for, of those whose markers hold for a Python 3.`minor` without extras."""
    environment = {"extra": "", "python_version": f"3.{minor}", "python_full_version": f"3.{minor}.0"}
    for line in lines:
        try:
            requirement = Requirement(line)
            holds = requirement.marker is None or requirement.marker.evaluate(environment)
        except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName, ValueError):
            continue
        if holds:
            yield requirement.specifier


def _distribution(tree: Tree, folder: str) -> Distribution:
    match = _FOLDER.fullmatch(posixpath.basename(folder))
    assert match is not None  # noqa: S101 - distributions() takes no other
    wheel = _headers(tree, f"{folder}/WHEEL")
    metadata = _headers(tree, f"{folder}/METADATA")
    requires_python = next(iter(metadata.get("requires-python", [])), "")
    return Distribution(
        folder=folder,
        name=match["name"],
        version=match["version"],
        tags=frozenset(_tags(wheel.get("tag", []))),
        requires_python=requires_python if len(requires_python) <= _MAX_PYTHON else "",
        requires=tuple(
            line
            for line in metadata.get("requires-dist", [])[:_MAX_REQUIREMENTS]
            if len(line) <= _MAX_REQUIREMENT and line.count("(") <= _MAX_PARENTHESES
        ),
    )


def _headers(tree: Tree, path: str) -> dict[str, list[str]]:
    """Read the header lines of a file in the form of RFC 822 mail; what cannot be read says nothing."""
    try:
        text = (tree.read(path, _MAX_METADATA_BYTES) or b"").decode("utf-8", "replace")
    except UnreadableEntryError:
        return {}
    found: dict[str, list[str]] = {}
    # What follows the first empty line is the description.
    for key, value in HeaderParser().parsestr(text.partition("\n\n")[0], headersonly=True).items():
        found.setdefault(key.lower(), []).append(str(value).strip())
    return found


def _tags(lines: list[str]) -> Iterator[Tag]:
    for line in lines[:_MAX_TAG_LINES]:
        if line.count("-") == 2 and line.count(".") <= _MAX_ALTERNATIVES:
            with suppress(ValueError):  # InvalidTag, of packaging 26
                yield from parse_tag(line)


def _platforms(libc: Libc | None, machine: str) -> Iterator[str]:
    if libc is not None and libc.kind == "musl":
        yield from (f"musllinux_1_{minor}_{machine}" for minor in range(_MUSL, -1, -1))
    else:
        newest = libc.version[1] if libc is not None and libc.version else 99
        for minor in range(newest, _OLDEST_MANYLINUX - 1, -1):
            yield f"manylinux_2_{minor}_{machine}"
            if minor in _LEGACY:
                yield f"{_LEGACY[minor]}_{machine}"
    yield f"linux_{machine}"
