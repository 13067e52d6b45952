"""Will every native file find the symbols it takes from others, and does it take any from what it names?"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from audit.releases import family_of, in_words
from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import some

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.analysis import Analysis
    from audit.missing import Missing

SHOWN = 3
LONGEST_NAME = 40
# Since glibc 2.34 these are empty: their symbols are in libc.so.6. Every older program names them.
_PARTS_OF_LIBC = (
    "libc.",
    "libm.",
    "libpthread.",
    "libdl.",
    "librt.",
    "libutil.",
    "libanl.",
    "ld-linux",
    "ld64.",
)


def _undefined_symbol(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A symbol that is bound at load time and that nothing defines ends the load: `symbol lookup error`."""
    for one in analysis.missing_symbols:
        if one.fails:
            yield _verdict(
                one, "add the library that defines it, of the version it was built with, or rebuild it"
            )


def _symbol_from_elsewhere(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A symbol that only a host, or a file loaded before, can bring: what loads the plugin decides."""
    for one in analysis.missing_symbols:
        if not one.fails:
            remedy = (
                f"link it with {one.elsewhere}, which has it, or see that this is loaded before with RTLD_GLOBAL"
                if one.elsewhere
                else "see that what loads it offers them, or add the library that does"
            )
            yield _verdict(one, remedy)


def _verdict(one: Missing, remedy: str) -> Verdict:
    loaded = "" if one.root == one.path else f", when {one.root} is loaded"
    count = len(one.references)
    words = f"{count} symbols are" if count > 1 else "a symbol is"
    return Verdict(
        one.path,
        f"{words} defined by nothing that it loads: {some([str(r) for r in one.references], SHOWN)}{loaded}",
        remedy,
        about=" ".join(sorted(map(str, one.references))),
    )


def _unread_symbols(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What cannot be read is not judged, nor what is loaded with it."""
    for path, reason in analysis.bindings.unread.items():
        if path in analysis.elves:
            yield Verdict(path, f"its symbols were not read: {reason}", "copy, build or fetch it again")


def _missing_version(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Each needed version must be in the library found for it: `version 'GLIBC_2.38' not found`."""
    for one in analysis.bindings.lacking:
        if one.path in analysis.elves:
            where = in_words(one.version)
            symbols = f" for {some([str(s) for s in one.symbols], SHOWN)}" if one.symbols else ""
            yield Verdict(
                one.path,
                f"needs {one.version}{symbols}, which {one.library} does not have"
                + (f"; {where}" if where else ""),
                "run it on a release that has the version, or build it on one as old as the target",
                about=one.version,
            )


def _needed_versions(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """The highest version of each family that a package takes from the system it is unpacked in."""
    if analysis.target.form == "image":
        return
    highest: dict[str, tuple[tuple[int, ...], str, str]] = {}  # family to number, version, symbol and file
    for path, references in analysis.bindings.taken.items():
        if path not in analysis.elves:
            continue
        own = {edge.needed for edge in analysis.graph.edges.get(path, ()) if edge.path in analysis.elves}
        for reference in references:
            version = _text(reference.version or b"")
            family = family_of(version)
            if family is None or reference.weak or _text(reference.library or b"") in own:
                continue
            if family[1] > highest.get(family[0], ((), "", ""))[0]:
                highest[family[0]] = (family[1], version, f"{_shorter(_text(reference.name))} in {path}")
    words = [f"{version} for {symbol} ({in_words(version)})" for _, version, symbol in highest.values()]
    if words:
        versions = ", ".join(version for _, version, _ in highest.values())
        yield Verdict(
            analysis.target.name,
            f"the highest needed: {'; '.join(words)}",
            "choose a target at least as new",
            about=versions,
        )


def _unused_needed(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A library that is named and of which no symbol is taken is mapped and initialised for nothing."""
    unused: defaultdict[str, list[str]] = defaultdict(list)
    for path in analysis.elves:
        versions = {library for library, _ in analysis.elves[path].verneed}
        for edge in analysis.graph.edges.get(path, ()):
            if (
                edge.path in analysis.bindings.offers
                and edge.needed in analysis.elves[path].needed
                and edge.needed not in versions
                and not edge.needed.startswith(_PARTS_OF_LIBC)
                and edge.path not in analysis.bindings.used.get(path, ())
            ):
                unused[edge.needed].append(path)
    if unused:
        count = sum(map(len, unused.values()))
        listed = sorted(unused.items(), key=lambda item: -len(item[1]))
        examples = [f"{name} by {some(paths, 1)}" for name, paths in listed]
        yield Verdict(
            analysis.target.name,
            f"{count} NEEDED {'names' if count == 1 else 'name'} a library of which no symbol is taken: "
            + some(examples, SHOWN),
            "link with -Wl,--as-needed, or remove the entry with patchelf --remove-needed",
        )


def _shorter(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


RULES = (
    Rule(
        key="undefined-symbol",
        severity=Severity.ERROR,
        judge=_undefined_symbol,
        means="a native file takes a symbol from others that nothing in its load defines, nor its host",
        matters="the loader ends with 'symbol lookup error', dlopen(3) and so Python's import with 'undefined symbol'",
        mend="add the library that defines it, of the version it was built with, or rebuild the file",
        source="ld.so(8), LD_BIND_NOW; dlopen(3), RTLD_NOW; glibc, elf/dl-lookup.c",
    ),
    Rule(
        key="symbol-from-elsewhere",
        severity=Severity.WARNING,
        judge=_symbol_from_elsewhere,
        means="a native file takes a symbol that nothing in its own load defines: it counts on what is there before",
        matters="loaded alone, or before the other, it fails: at load time, or when the function is first called",
        mend="name the library that defines it as NEEDED, or load that one before with RTLD_GLOBAL",
        source="dlopen(3), RTLD_GLOBAL and RTLD_LAZY; glibc, elf/dl-lookup.c",
    ),
    Rule(
        key="unread-symbols",
        severity=Severity.WARNING,
        judge=_unread_symbols,
        means="the tables of a file's dynamic symbols are cut short, contradict themselves, or are beyond all measure",
        matters="the loader may crash on it; whether its symbols are found, and those of its users, is not known",
        mend="copy, build or fetch it again",
        source="gABI chapter 4, 'Symbol Table'; chapter 5, 'Hash Table'",
    ),
    Rule(
        key="missing-version",
        severity=Severity.ERROR,
        judge=_missing_version,
        means="a library was found, and does not have a symbol version that is needed from it",
        matters="the loader ends with \"version 'GLIBC_2.38' not found (required by …)\"",
        mend="run it on a release that has the version, or build it on one as old as the target",
        source="LSB Core 10.7, 'Symbol Versioning'; glibc, elf/dl-version.c",
    ),
    Rule(
        key="needed-version",
        severity=Severity.NOTE,
        judge=_needed_versions,
        means="the highest symbol version that the package takes from the system's C and C++ libraries",
        matters="it says on which releases the package loads at all",
        mend="choose a target at least as new, or build on an older one (manylinux)",
        source="PEP 600; sourceware.org/glibc/wiki/Release; libstdc++ manual, 'ABI Policy and Guidelines'",
    ),
    Rule(
        key="unused-needed",
        severity=Severity.NOTE,
        judge=_unused_needed,
        means="a native file names libraries of which it takes no symbol",
        matters="each is found, mapped, relocated and initialised for nothing, and must be shipped",
        mend="link with -Wl,--as-needed, or patchelf --remove-needed; keep what is loaded for its effect alone",
        source="ldd(1), -u; ld(1), --as-needed",
    ),
)
