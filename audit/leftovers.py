"""Tells what packages and builds leave behind: caches, tests, files for compilers, manuals, translations."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from audit.sizes import FileSize
    from audit.tree import Tree

Kind = Literal["cache", "orphan", "test", "development", "documentation", "locale", "bytecode"]

# Why a file of each kind may go, in words that stand after "because".
WHY: Mapping[Kind, str] = MappingProxyType(
    {
        "cache": "nothing reads a cache or log of the build at run time, and its owner makes it again",
        "orphan": "Python ignores byte code in __pycache__ whose source is gone (PEP 3147)",
        "test": "packages do not import their own tests",
        "development": "only compilers and linkers read it",
        "documentation": "only people read it",
        "locale": "only programs that speak the language read it",
        "bytecode": "Python compiles it again; every start takes longer",
    }
)

# Paths are those of strangers: (?>…) keeps to the first place that fits, so that long ones take no square of time.
# The first row that matches a path decides. Paths of wheels are looked at as if in /site-packages.
_ROWS: tuple[tuple[Kind, str], ...] = (
    ("cache", r"/var/cache/(?:apt|dnf|yum|apk|fontconfig|man|ldconfig)/.+"),
    ("cache", r"/var/lib/apt/lists/.+"),
    ("cache", r"/var/lib/dpkg/.+-old|/var/cache/.+-old"),
    ("cache", r"/var/log/.+|/tmp/.+|/var/tmp/.+"),
    ("cache", r"(?:/root|/home/[^/]+|/var/www)/\.(?:cache|npm/_cacache|cargo/registry|gradle/caches|m2)/.+"),
    ("cache", r".*/\.(?:pytest_cache|mypy_cache|ruff_cache|hypothesis|tox|nox|git|hg|svn)/.+"),
    ("cache", r".*/(?:__MACOSX/.+|\.DS_Store|\.coverage|npm-debug\.log)"),
    ("test", r"(?>.*?/(?:site|dist)-packages/)(?:.+/)?(?:tests?|_tests?)/.+"),
    (
        "test",
        r".*/lib/python3[^/]*/(?:test|idlelib/idle_test|lib2to3/tests|(?:ctypes|distutils|sqlite3|tkinter|unittest)/tests?)/.+",
    ),
    ("test", r"(?>.*?/node_modules/).+/(?:tests?|__tests__)/.+"),
    (
        "development",
        r"(?>.*?/(?:site|dist)-packages/).+\.(?:h|hh|hpp|hxx|cuh|pxd|pyx|c|cc|cpp|cxx|cu|cmake|pc)",
    ),
    ("development", r"/usr/(?:local/)?include/.+|.*/pkgconfig/[^/]+\.pc|.*/lib/cmake/.+"),
    (
        "development",
        r".*/lib(?:32|64|/[a-z0-9_]+-linux-[a-z0-9]+)?/[^/]+\.l?a|(?>.*?/(?:site|dist)-packages/).+\.l?a",
    ),
    ("development", r"(?>.*?/node_modules/).+\.(?:d\.ts|map)"),
    # Copyright files stay: most licences want them beside the binaries.
    ("documentation", r"(?>.*?/share/doc/)(?:.+/)?(?!copyright|LICEN[CS]E|NOTICE)[^/]+"),
    ("documentation", r"(?>.*?/share/)(?:man|info|gtk-doc|lintian|bash-completion|zsh)/.+"),
    ("locale", r"/usr/(?:local/)?share/(?:locale|i18n)/.+"),
    ("locale", r"/usr/lib/locale/(?!C\.)[^/]+(?:/.*)?"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A file that is not needed at run time, of which `size` bytes come free (`compressed`: in the zip)."""

    path: str
    kind: Kind
    package: str
    size: int
    compressed: int | None


def leftovers(tree: Tree, files: Iterable[FileSize], at: str = "/") -> tuple[Leftover, ...]:
    """Give the leftovers among the files of a target that lies at `at`, in the order of `files`."""
    found = []
    start = 0 if at == "/" else len(at)
    for file in files:
        kind = _kind(file, file.path[start:], tree)
        if kind is not None:
            found.append(
                Leftover(
                    path=file.path,
                    kind=kind,
                    package=file.package.name,
                    size=file.size,
                    compressed=file.compressed,
                )
            )
    return tuple(found)


def _kind(file: FileSize, inside: str, tree: Tree) -> Kind | None:
    folder, name = posixpath.split(file.path)
    if name.endswith(".pyc") and posixpath.basename(folder) == "__pycache__":
        source = posixpath.join(posixpath.dirname(folder), name.split(".")[0] + ".py")
        if source not in tree.entries:
            return "orphan"
    if file.package.manager == "python" and "-packages/" not in inside:
        inside = f"/site-packages{inside}"
    match = _expression().fullmatch(inside)
    if match is not None and match.lastindex is not None:
        return _ROWS[match.lastindex - 1][0]
    return "bytecode" if name.endswith(".pyc") and posixpath.basename(folder) == "__pycache__" else None


@cache
def _expression() -> re.Pattern[str]:
    return re.compile("|".join(f"({row})" for _, row in _ROWS), re.DOTALL)
