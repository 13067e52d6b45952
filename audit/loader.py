"""Where the dynamic loader of a tree looks for a library: the search rules of ld.so(8) as values."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from audit.ldcache import best, read_cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.elf import Abi, Elf
    from audit.tree import Tree

HIGHEST_LEVEL = 4  # x86-64 psABI, "Micro-Architecture Levels"


class How(Enum):
    """By which rule of ld.so(8) a library was found; the value is the word for reports."""

    PATH = "path"
    RPATH = "RPATH"
    LIBRARY_PATH = "LD_LIBRARY_PATH"
    RUNPATH = "RUNPATH"
    CACHE = "ld.so.cache"
    DEFAULT = "default path"
    INTERP = "interpreter"
    NOT_FOUND = "not found"


class Platform(NamedTuple):
    """A machine in the words of Debian (triplet), the kernel (AT_PLATFORM), OCI; `$LIB` elsewhere."""

    triplet: str
    platform: str
    oci: str
    lib: str


PLATFORMS = {
    ("x86-64", 64): Platform("x86_64-linux-gnu", "x86_64", "amd64", "lib64"),
    ("aarch64", 64): Platform("aarch64-linux-gnu", "aarch64", "arm64", "lib64"),
    ("i386", 32): Platform("i386-linux-gnu", "i686", "386", "lib"),
    ("arm", 32): Platform("arm-linux-gnueabihf", "v7l", "arm", "lib"),
    ("ppc64", 64): Platform("powerpc64le-linux-gnu", "power8", "ppc64le", "lib64"),
    ("s390x", 64): Platform("s390x-linux-gnu", "z900", "s390x", "lib64"),
    ("riscv", 64): Platform("riscv64-linux-gnu", "", "riscv64", "lib64"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """What the loader of one tree for one ABI has been told: folders to search, and values for its tokens.

    `cache` holds where ld.so.cache leads, by name, but for what lies in the default folders anyway.
    """

    library_path: str
    cache: Mapping[str, str]
    default: tuple[str, ...]
    lib: str
    platform: str
    working_dir: str
    hwcaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One object in a process: its path without symlinks, the name it was opened by, and who made it load."""

    path: str
    opened: str
    elf: Elf
    how: How
    by: Loaded | None = None

    @property
    def origin(self) -> str:
        """Give what `$ORIGIN` means in it: the folder of the opened name, whose symlinks are not resolved."""
        return posixpath.dirname(self.opened)


def hwcaps_of(abi: Abi, level: int) -> tuple[str, ...]:
    """Give the folders that the loader looks into before a library folder itself, best first (glibc 2.33 on).

    `level` is N of x86-64-vN, that of the processor; the baseline, 1, has none. ld.so(8), "glibc-hwcaps".
    """
    if (abi.machine, abi.bits) != ("x86-64", 64):
        return ()
    return tuple(f"glibc-hwcaps/x86-64-v{number}" for number in range(min(level, HIGHEST_LEVEL), 1, -1))


def loader_of(tree: Tree, abi: Abi, level: int = 1) -> Loader:
    """Read what the tree says about how its loader searches for objects of this ABI; `level` as in `hwcaps_of`."""
    row = PLATFORMS.get((abi.machine, abi.bits), Platform("", "", "", "lib64" if abi.bits == 64 else "lib"))
    multiarch = f"lib/{row.triplet}"
    on_debian = row.triplet and (tree.is_dir(f"/{multiarch}") or tree.is_dir(f"/usr/{multiarch}"))
    lib = multiarch if on_debian else row.lib
    folders = dict.fromkeys((lib, "lib"))
    default = tuple(f"{top}/{folder}" for folder in folders for top in ("", "/usr"))
    system = {real for folder in default if (real := tree.resolve(folder))}
    hwcaps = hwcaps_of(abi, level)
    cached = {name: best(found, hwcaps) for name, found in read_cache(tree, abi).items()}
    # What ldconfig(8) found in the default folders is not worth the name of the file that repeats them. With
    # -z nodefaultlib the loader does not take it from there either.
    cache = {
        name: path
        for name, path in cached.items()
        if path and tree.resolve(posixpath.dirname(path).partition("/glibc-hwcaps/")[0]) not in system
    }
    return Loader(
        library_path=tree.config.environment.get("LD_LIBRARY_PATH", ""),
        cache=cache,
        default=default,
        lib=lib,
        platform=row.platform,
        working_dir=tree.config.working_dir or "/",
        hwcaps=hwcaps,
    )


def searches(
    loader: Loader, needed: str, requester: Loaded, program: Loaded
) -> Iterator[tuple[How, str | None]]:
    """List the paths at which a name without slash is looked for, each with its rule; None for one that is dropped.

    They are made one by one: a path list may have a hundred thousand folders, and the first be the right one.

    The order is that of ld.so(8) and of `_dl_map_object` in glibc's elf/dl-load.c: DT_RPATH of the requester,
    of what loaded it and so on, and of the program, all only if the requester has no DT_RUNPATH;
    LD_LIBRARY_PATH; DT_RUNPATH of the requester alone; ld.so.cache, whatever ld.so.conf says by now; the default
    folders. `-z nodefaultlib` ends it before the default. Before each folder come its glibc-hwcaps folders.
    """
    ends = (*(f"/{caps}/{needed}" for caps in loader.hwcaps), f"/{needed}")
    for how, folders in _searches(loader, requester, program):
        if how is How.CACHE:
            if needed in loader.cache:
                yield how, loader.cache[needed]
        else:
            for folder in folders:
                yield from ((how, folder.rstrip("/") + end) for end in ends) if folder else ((how, None),)


def _searches(
    loader: Loader, requester: Loaded, program: Loaded
) -> Iterator[tuple[How, Iterable[str | None]]]:
    if requester.elf.runpath is None:
        for holder in _rpath_holders(requester, program):
            yield How.RPATH, expand_path(loader, holder.elf.rpath or "", holder.origin)
    if loader.library_path:
        yield How.LIBRARY_PATH, expand_path(loader, loader.library_path, program.origin, separators=":;")
    if requester.elf.runpath is not None:
        yield How.RUNPATH, expand_path(loader, requester.elf.runpath, requester.origin)
    yield How.CACHE, ()
    if not requester.elf.nodeflib:
        yield How.DEFAULT, loader.default


def _rpath_holders(requester: Loaded, program: Loaded) -> Iterator[Loaded]:
    holder: Loaded | None = requester
    seen_program = False
    while holder is not None:
        # If an object has both, its RPATH is ignored (elf_get_dynamic_info in glibc's
        # elf/get-dynamic-info.h).
        if holder.elf.rpath and holder.elf.runpath is None:
            yield holder
        seen_program |= holder is program
        holder = holder.by
    if not seen_program and program.elf.rpath and program.elf.runpath is None:
        yield program


def expand_path(loader: Loader, text: str, origin: str, separators: str = ":") -> Iterator[str | None]:
    """Give the folders in a path list, None for one that the loader drops (see `expand`).

    An empty or relative one is taken from the working directory.
    """
    start = 0
    for match in re.finditer(f"[{separators}]|\\Z", text) if text else ():
        folder = expand(loader, text[start : match.start()], origin)
        yield None if folder is None else posixpath.join(loader.working_dir, folder).rstrip("/") or "/"
        start = match.end()


# "Dynamic string tokens" in ld.so(8); a token ends where an identifier would (is_dst in glibc's
# elf/dl-load.c).
_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")


def expand(loader: Loader, text: str, origin: str) -> str | None:
    """Replace `$ORIGIN`, `$LIB`, `$PLATFORM`; None when one has no value: the loader drops the name."""
    values = {"ORIGIN": origin, "LIB": loader.lib, "PLATFORM": loader.platform}
    names = [curly or plain for curly, plain in _TOKEN.findall(text)]
    if not all(values[name] for name in names):
        return None
    return _TOKEN.sub(lambda match: values[match[1] or match[2]], text)
