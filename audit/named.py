"""Finds the files of a tree that have the name of a library in them, as a caller of dlopen(3) has."""

from __future__ import annotations

import os
import posixpath
import re
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

from audit.elf import Elf
from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.linked import Linked
    from audit.notes import Notes

# Files are searched piece by piece; packed ones only as far as it is worth inflating them for that.
_MAX_INFLATED_BYTES = 64 << 20
_MAX_SEARCHED_IN_ALL = 1 << 30
_PIECE_BYTES = 8 << 20
# Configuration that a person wrote or a program keeps is small: mime.types, the longest of a Debian, has 74 kB.
_MAX_CONFIGURATION_BYTES = 1 << 20
_MAX_CONFIGURATIONS = 10_000
_MAX_NAME = 100
# A Debian with Apache has 1,800, TensorFlow's wheel 1,200; so many more are an attack on time.
_MAX_NAMES_IN_ALL = 1_000_000
_REVERSED_NAME = re.compile(rb"[\w.+-]*")
_REST = re.compile(rb"\.so[\w.]{0,%d}" % _MAX_NAME)

# Apache's *.load, PHP's *.ini, *.icd of OpenCL, loaders.cache of gdk-pixbuf, and folders such as pam.d and icd.d.
_SUFFIXES = (".conf", ".cnf", ".cfg", ".ini", ".load", ".module", ".icd", ".cache")
# What is in the cache of ldconfig(8), that found by itself: nothing asks for it.
_NO_CONFIGURATION = ("/ld.so.cache", ".py")


def named_libraries(
    linked: Linked,
    libraries: Iterable[str],
    files: Iterable[str],
    last: Iterable[str] = (),
    *,
    notes: Mapping[str, Notes],
) -> dict[str, str]:
    """Find those of the `libraries` whose name stands somewhere, each with the first file that has it.

    Searched are the image's environment and command, `files`, the target's Python files and configuration, and
    the files `last`; of native files, also the `notes`. A library's own name, and what a file has in NEEDED, do not
    count.
    """
    wanted = _wanted(linked, libraries)
    found: dict[str, str] = {}
    room = _MAX_NAMES_IN_ALL
    for source, words in _sources(linked, files, last, notes):
        needs: set[bytes] | None = None
        for word in islice(words, room):
            room -= 1
            if word in wanted:
                needs = _needs(linked, source) if needs is None else needs
                if word not in needs:
                    wanted[word] = _left(found, wanted[word], source)
    return found


def _left(found: dict[str, str], libraries: Iterable[str], source: str) -> list[str]:
    """Add the libraries of one name that `source` has in it to those found; give what of them it does not count for.

    That is itself at most: however often a name comes, each library that has it is looked at once.
    """
    for library in libraries:
        if library != source:
            found.setdefault(library, source)
    return [library for library in libraries if library not in found]


def _wanted(linked: Linked, libraries: Iterable[str]) -> dict[bytes, list[str]]:
    """Give the libraries by the names that they may be opened by: their own, their soname, those of symlinks."""
    wanted: defaultdict[bytes, list[str]] = defaultdict(list)
    own = {path: {posixpath.basename(path), linked.elves[path].soname or ""} for path in libraries}
    tree = linked.tree
    for path, entry in tree.entries.items():
        if entry.kind == "symlink" and ".so" in path and (real := tree.resolve(path)) in own:
            own[real].add(posixpath.basename(path))
    for path, names in own.items():
        for name in names - {""}:
            wanted[os.fsencode(name)].append(path)
    return wanted


def _sources(
    linked: Linked, files: Iterable[str], last: Iterable[str], notes: Mapping[str, Notes]
) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Give everything that may have a name in it, by the words for a report, with what looks like one."""
    image = linked.tree.config
    for name, value in image.environment.items():
        yield f"ENV {name}", _names(value.encode(errors="replace"))
    for name, values in (("ENTRYPOINT", image.entrypoint), ("CMD", image.command)):
        yield name, _names("\0".join(values).encode(errors="replace"))
    python = (path for path in linked.own if path.endswith(".py"))
    configuration = sorted(path for path in linked.own if _is_configuration(linked, path))[
        :_MAX_CONFIGURATIONS
    ]
    room = _MAX_SEARCHED_IN_ALL
    for path in (*files, *python, *configuration, *last):
        entry = linked.tree.entries[path]
        packed = entry.compressed not in (None, entry.size)
        if entry.size <= room and not (packed and entry.size > _MAX_INFLATED_BYTES):
            room -= entry.size
            yield path, _words(linked, path, notes)


def _is_configuration(linked: Linked, path: str) -> bool:
    return (
        (path.endswith(_SUFFIXES) or "/etc/" in path or ".d/" in path or "/gconv-modules" in path)
        and not path.endswith(_NO_CONFIGURATION)
        and path not in linked.elves
        and linked.tree.entries[path].size <= _MAX_CONFIGURATION_BYTES
    )


def _words(linked: Linked, path: str, notes: Mapping[str, Notes]) -> Iterator[bytes]:
    """Give what looks like the file name of a library in a file; pieces overlap by more than such a name."""
    for name in notes[path].dlopen if path in notes else ():
        yield os.fsencode(name)
    try:
        with linked.tree.entries[path].open() as content:
            before = b""
            while piece := content.read(_PIECE_BYTES):
                yield from _names(before + piece)
                if not before:
                    yield from _named_by_rule(path, piece)
                before = piece[-2 * _MAX_NAME :]
    except UnreadableEntryError:  # the rule of unreadable entries says so
        return


def _named_by_rule(path: str, content: bytes) -> Iterator[bytes]:
    """Give the libraries that a configuration file names without their ending.

    nsswitch.conf(5): libnss_SERVICE.so.2; iconvconfig(8): `module FROM TO FILE COST`; php.net, "extension".
    """
    if path.endswith("/nsswitch.conf"):
        for line in content.split(b"\n"):
            for service in line.partition(b"#")[0].partition(b":")[2].split():
                yield b"libnss_" + service + b".so.2"
    elif "/gconv-modules" in path:
        for line in content.split(b"\n"):
            if line.lstrip().startswith(b"module") and len(words := line.split(None, 4)) > 3:
                yield words[3] + b".so"
    elif path.endswith(".ini"):
        for line in content.split(b"\n"):
            key, _, value = line.partition(b"=")
            if key.strip() in (b"extension", b"zend_extension"):
                yield value.strip(b"\"' \t\r") + b".so"


def _needs(linked: Linked, path: str) -> set[bytes]:
    """Give the names that stand in a file for another reason than dlopen(3)."""
    elf = linked.linker.elf(path) if path in linked.tree.entries else None
    return (
        {os.fsencode(name) for name in (*elf.needed, elf.soname) if name} if isinstance(elf, Elf) else set()
    )


def _names(content: bytes) -> Iterator[bytes]:
    """Give what looks like the file name of a library, in time that depends on the length alone."""
    at = content.find(b".so")
    while at >= 0:
        before = _REVERSED_NAME.match(content[max(0, at - _MAX_NAME) : at][::-1])
        rest = _REST.match(content, at)
        if before is not None and rest is not None:
            yield before[0][::-1] + rest[0]
        at = content.find(b".so", at + 3)
