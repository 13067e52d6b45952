"""Reads off what protects a native file against attacks on its memory, as checksec(1) reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from audit.elf import Elf
    from audit.symbols import Offer, Reference

# gABI chapter 5, "Dynamic Section"; glibc's elf.h for DT_FLAGS_1.
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW = 0x4, 0x8, 0x1

# What GCC, and Intel's compiler, call when a function's canary has been overwritten.
CANARY = frozenset({b"__stack_chk_fail", b"__stack_chk_guard", b"__intel_security_cookie"})

# The functions X for which glibc has a checked __X_chk: `readelf --dyn-syms` of 2.36's libc.so.6, and those that
# 2.38 added. feature_test_macros(7), "_FORTIFY_SOURCE".
FORTIFIABLE = frozenset(
    b"asprintf confstr dprintf explicit_bzero fgets fgets_unlocked fgetws fgetws_unlocked fprintf fread "
    b"fread_unlocked fwprintf getcwd getdomainname getgroups gethostname getlogin_r gets getwd longjmp mbsnrtowcs "
    b"mbsrtowcs mbstowcs memcpy memmove mempcpy memset obstack_printf obstack_vprintf poll ppoll pread pread64 "
    b"printf ptsname_r read readlink readlinkat realpath recv recvfrom snprintf sprintf stpcpy stpncpy strcat "
    b"strcpy strlcat strlcpy strncat strncpy swprintf syslog ttyname_r vasprintf vdprintf vfprintf vfwprintf "
    b"vprintf vsnprintf vsprintf vswprintf vsyslog vwprintf wcpcpy wcpncpy wcrtomb wcscat wcscpy wcslcat wcslcpy "
    b"wcsncat wcsncpy wcsnrtombs wcsrtombs wcstombs wctomb wmemcpy wmemmove wmempcpy wmemset wprintf".split()
)
FORTIFIED = frozenset(b"__" + name + b"_chk" for name in FORTIFIABLE) | {b"__fdelt_chk"}

Relro = Literal["full", "partial", "no"]
Pie = Literal["yes", "no", "dso"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardening:
    """The protections of one file, in checksec's words.

    `relro`: which of the loader's tables are read-only after relocation; full needs `now`, binding of all symbols
    at the start. `lazy`: some are bound when they are first called, through a table that stays writable. `pie`:
    loaded at an address of the kernel's choice; a library is a `dso`. `canary`: some function checks its stack
    frame; None where there are no dynamic symbols to tell. `fortified` and `fortifiable` count the functions of
    glibc it calls in the checked and in the plain form.
    """

    relro: Relro
    now: bool
    lazy: bool
    pie: Pie
    canary: bool | None
    fortified: int
    fortifiable: int


def hardening(elf: Elf, names: Collection[bytes]) -> Hardening:
    """Read off the protections of a file from its headers and the `names` of its dynamic symbols."""
    relro = any(segment.type == "PT_GNU_RELRO" for segment in elf.segments)
    flags, flags_1 = elf.tags.get("DT_FLAGS", 0), elf.tags.get("DT_FLAGS_1", 0)
    now = bool("DT_BIND_NOW" in elf.tags or flags & DF_BIND_NOW or flags_1 & DF_1_NOW)
    known = set(names)
    return Hardening(
        relro="no" if not relro else "full" if now else "partial",
        now=now,
        lazy=not now and "DT_JMPREL" in elf.tags,
        pie=_pie(elf),
        canary=bool(known & CANARY) if elf.dynamic else None,
        fortified=len(known & FORTIFIED),
        fortifiable=len(known & FORTIFIABLE),
    )


def hardening_of(
    elves: Mapping[str, Elf], taken: Mapping[str, Iterable[Reference]], offers: Mapping[str, Offer]
) -> dict[str, Hardening]:
    """Read off the protections of all programs and libraries; object files have none.

    `taken` and `offers` are the symbols that the files take from others and offer to them.
    """
    return {
        path: hardening(elf, _names(taken.get(path, ()), offers.get(path)))
        for path, elf in elves.items()
        if elf.type in ("shared", "executable") and elf.segments
    }


def _names(taken: Iterable[Reference], offer: Offer | None) -> set[bytes]:
    """Give the names it takes; of those it offers only the canary's count, which libc itself defines."""
    names = {reference.name for reference in taken}
    return names | {name for name in CANARY if offer is not None and name in offer.symbols}


def has_text_relocations(elf: Elf) -> bool:
    """Tell whether the loader must write into the file's code to relocate it."""
    return "DT_TEXTREL" in elf.tags or bool(elf.tags.get("DT_FLAGS", 0) & DF_TEXTREL)


def _pie(elf: Elf) -> Pie:
    """Linkers write DT_DEBUG into programs only; a program without interpreter says DF_1_PIE."""
    if elf.type == "executable":
        return "no"
    return "yes" if elf.pie or "DT_DEBUG" in elf.tags else "dso"
