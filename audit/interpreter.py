"""Which Pythons a tree holds, with their C library, and which extension modules each of them imports."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from audit.errors import UnreadableEntryError
from audit.loader import PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audit.elf import Abi
    from audit.tree import Tree

# Files that only a Python itself brings: the library of modules, the program, the shared library.
_HOME = re.compile(
    r"/(?:lib(?:64)?/(?P<lib>(?:python|pypy)3\.\d{1,3}t?)/(?:os|encodings/__init__)\.pyc?"
    r"|bin/(?P<bin>(?:python|pypy)3\.\d{1,3}t?)"
    r"|lib(?P<so>python3\.\d{1,3}t?)\.so(?:\.1\.0)?)"
)
_VERSION = re.compile(r"(python|pypy)3\.(\d+)(t?)")
# The folder that says whose modules it holds, as in lib/python3.11/site-packages.
_OWN_FOLDER = re.compile(r"/((?:python|pypy)3\.\d{1,3}t?)/")
_SUFFIX = re.compile(
    r"\.(?:(?P<cpython>cpython-3(?P<minor>\d{1,3})(?P<flags>[a-z]{0,4})(?:-(?P<triplet>[\w-]{1,64}))?)"
    r"|(?P<pypy>pypy3(?P<pypy_minor>\d{1,3})-pp\d{1,4}(?:-(?P<pypy_triplet>[\w-]{1,64}))?)"
    r"|(?P<stable>abi3t?))\.so"
)
# glibc's and musl's banner in the library itself, which each prints when it is run.
_GLIBC = re.compile(rb"GNU C Library [^\n\0]{0,80}release version (\d{1,2})\.(\d{1,3})")
_MAX_LIBC_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Interpreter:
    """A Python by its implementation and version 3.`minor`; `threaded`: the build without the GIL."""

    implementation: Literal["cpython", "pypy"] = "cpython"
    minor: int
    threaded: bool = False

    def __str__(self) -> str:
        """Give the words for a report, such as `CPython 3.11`."""
        name = "CPython" if self.implementation == "cpython" else "PyPy"
        return f"{name} 3.{self.minor}{'t' if self.threaded else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """An extension module by the tag in its file name (PEP 3149): who it was built for.

    `interpreter` is None for the stable ABI. `flags` are letters such as `d`, a debug build. `triplet` is empty
    when the name has none.
    """

    path: str
    module: str
    tag: str
    interpreter: Interpreter | None
    flags: str = ""
    triplet: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Libc:
    """The C library of a tree; `version` is None when it does not say."""

    kind: Literal["glibc", "musl"]
    version: tuple[int, int] | None = None


def interpreters(tree: Tree) -> tuple[Interpreter, ...]:
    """List the Pythons that a tree holds, sorted, from the names of their files."""
    found = {
        name
        for path in tree.entries
        if ("python3." in path or "pypy3." in path) and (match := _HOME.fullmatch(_tail(path)))
        for name in match.groups()
        if name
    }
    return tuple(sorted(_interpreter(name) for name in found))


def own_interpreter(path: str) -> Interpreter | None:
    """Give the Python in whose folder a path lies; no other has that folder on its module path (site(3))."""
    found = _OWN_FOLDER.findall(path)
    return _interpreter(found[-1]) if found else None


def extension_of(path: str) -> Extension | None:
    """Read the tag in the name of an extension module; None when there is none, as in a plain `.so`."""
    folder, name = posixpath.split(path)
    module, dot, rest = name.partition(".")
    match = _SUFFIX.fullmatch(dot + rest)
    if match is None:
        return None
    built_for = None
    if match["cpython"]:
        flags = match["flags"]
        built_for = Interpreter(minor=int(match["minor"]), threaded="t" in flags)
    elif match["pypy"]:
        flags = ""
        built_for = Interpreter(implementation="pypy", minor=int(match["pypy_minor"]))
    else:
        flags = "t" if match["stable"] == "abi3t" else ""
    return Extension(
        path=path,
        module=posixpath.join(folder, module),
        tag=(dot + rest).removeprefix(".").removesuffix(".so"),
        interpreter=built_for,
        flags=flags.replace("t", "") if built_for else flags,
        triplet=match["triplet"] or match["pypy_triplet"] or "",
    )


def imports(interpreter: Interpreter, extension: Extension, triplet: str | None) -> bool:
    """Tell whether the file's name ends as the interpreter's import expects it.

    CPython, Python/dynload_shlib.c: `.cpython-311-x86_64-linux-gnu.so`, `.abi3.so` and `.so`; a build without
    the GIL has no `.abi3.so`; from 3.15 on there is `.abi3t.so` (PEP 803). The triplet counts where both are
    known.
    """
    if extension.interpreter is None:
        if interpreter.implementation != "cpython":
            return False
        return interpreter.minor >= 15 if extension.flags == "t" else not interpreter.threaded
    # Up to 3.7 the name carried `m`, for pymalloc; `d` and `u` are builds that no distribution's program is.
    flags = extension.flags.replace("m", "") if extension.interpreter.minor < 8 else extension.flags
    same = extension.interpreter == interpreter and not flags
    return same and (not extension.triplet or triplet is None or extension.triplet == triplet)


def triplet_of(abi: Abi, libc: Libc | None, minor: int) -> str | None:
    """Give the triplet in a CPython's suffix; None when unknown.

    CPython's configure, PLATFORM_TRIPLET: Debian's multiarch name; musl has its own from 3.11 on (bpo-43112).
    """
    row = PLATFORMS.get((abi.machine, abi.bits))
    if row is None or libc is None:
        return None
    return row.triplet.replace("gnu", "musl") if libc.kind == "musl" and minor >= 11 else row.triplet


def libc_of(tree: Tree, folders: Iterable[str]) -> Libc | None:
    """Find the C library of a tree in the loader's `folders`; its version stands in the library itself."""
    for folder in folders:
        names = tree.names.get(tree.resolve(folder) or "", ())
        if "libc.so.6" in names:
            return Libc(kind="glibc", version=_glibc_version(tree, posixpath.join(folder, "libc.so.6")))
        if any(name.startswith("ld-musl-") for name in names):
            return Libc(kind="musl")
    return None


def _glibc_version(tree: Tree, path: str) -> tuple[int, int] | None:
    try:
        match = _GLIBC.search(tree.read(path, _MAX_LIBC_BYTES) or b"")
    except UnreadableEntryError:
        return None
    return (int(match[1]), int(match[2])) if match else None


def _tail(path: str) -> str:
    """Give the part of a path that tells a Python's own file, from its `lib` or `bin` folder on."""
    for folder in ("/lib/py", "/lib64/py", "/bin/py", "/libpython"):
        at = path.rfind(folder)
        if at >= 0:
            return path[at:]
    return ""


def _interpreter(name: str) -> Interpreter:
    match = _VERSION.fullmatch(name)
    assert match is not None  # noqa: S101 - the callers' expressions contain this one
    return Interpreter(
        implementation="pypy" if match[1] == "pypy" else "cpython",
        minor=int(match[2]),
        threaded=bool(match[3]),
    )
