"""Will this Python, with what lies beside it, import the extension modules?"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from audit.interpreter import imports, own_interpreter, triplet_of
from audit.policy import best, highest, policy_of
from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import some

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.analysis import Analysis
    from audit.interpreter import Extension, Interpreter, Libc
    from audit.policy import Needs, Policy
    from audit.wheels import Distribution

SHOWN = 4
UNKNOWN_LIBC = (99, 99)  # before all others: no policy promises what is needed
# glibc, then libstdc++ and libgcc
FAMILIES = ("GLIBC", "GLIBCXX", "CXXABI", "GCC")


def _foreign_extension(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A module whose file name is not for this interpreter does not exist for its import statement."""
    for place, tag, modules, wanted in _foreign(analysis, others=False):
        yield Verdict(
            place,
            f"{some(modules, 1)}: built for {tag}, which {wanted} does not import, and there is no other file "
            "for the module",
            f"install the build for {wanted}",
            about=tag,
        )


def _spare_extension(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Builds for other interpreters beside the right one are never opened."""
    for place, tag, modules, wanted in _foreign(analysis, others=True):
        size = sum(analysis.tree.entries[path].size for path in modules)
        yield Verdict(
            place,
            f"{some(modules, 1)}: built for {tag}; {wanted} imports the build beside it, so {size:,} bytes are "
            "never used",
            "leave the builds for other interpreters out",
            about=tag,
        )


def _foreign(analysis: Analysis, *, others: bool) -> Iterator[tuple[str, str, list[str], str]]:
    """Group the extensions that no Python of the target imports by place and tag; `others`: another file does."""
    facts = analysis.python
    unfit: list[tuple[Extension, str]] = []
    importable: set[str] = {path.removesuffix(".so") for path in analysis.elves if path.endswith(".so")}
    for extension in facts.extensions:
        wanted = _wanted(analysis, extension)
        if not wanted or any(imports(one, extension, _triplet(analysis, one)) for one in wanted):
            importable.add(extension.module)
        else:
            unfit.append((extension, " or ".join(map(str, sorted(wanted)))))
    groups: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for extension, words in unfit:
        if (extension.module in importable) == others:
            groups[analysis.python.place(extension.path), extension.tag, words].append(extension.path)
    for (place, tag, words), paths in groups.items():
        yield place, tag, paths, words


def _wanted(analysis: Analysis, extension: Extension) -> Iterable[Interpreter]:
    """Name the Pythons that may import a file: that of its folder, else the tree's, else its wheel's."""
    own = own_interpreter(extension.path)
    if own is not None:
        return (own,)
    facts = analysis.python
    if facts.interpreters:
        return facts.interpreters
    distribution = facts.owner.get(extension.path)
    return distribution.interpreters if distribution else ()


def _triplet(analysis: Analysis, interpreter: Interpreter) -> str | None:
    facts = analysis.python
    return triplet_of(analysis.expected, facts.libc, interpreter.minor) if analysis.expected else None


def _foreign_wheel(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What pip would not install here is here all the same: copied, or installed for another system."""
    facts = analysis.python
    if facts.machine is None:
        return
    system = f"{facts.machine}{_with_libc(facts.libc)}"
    for one in facts.own:
        own = own_interpreter(f"{one.folder}/")
        pythons = (own,) if own else facts.interpreters
        if not pythons or any(python.implementation != "cpython" for python in pythons):
            continue
        names = " or ".join(map(str, pythons))
        if not any(one.is_for(python, facts.libc, facts.machine) for python in pythons):
            tags = sorted(map(str, one.named or one.tags))
            yield Verdict(
                one.folder,
                f"it is for {some(tags, SHOWN)}; pip takes none of these for {names} on {system}",
                f"let pip choose the wheel for {names} on {system}",
            )
        elif not any(one.takes(python) for python in pythons):
            yield Verdict(
                one.folder,
                f"it requires Python {one.requires_python}, and here is {names}",
                f"install a version of it that is made for {names}",
            )


def _platform_tag(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A platform tag promises that nothing beyond its policy is needed; pip relies on it."""
    for one, wanted, promised in _tagged(analysis):
        # pip takes a wheel for any one of its tags, so the one for the oldest system counts.
        oldest = min(promised, key=lambda policy: policy.libc)
        beyond = wanted.beyond(oldest)
        if beyond:
            fits = best(wanted)
            yield Verdict(
                one.folder,
                f"its tag {oldest.name} does not promise {some(beyond, SHOWN)}; "
                f"{beyond[0]} is needed by {wanted.users[beyond[0]]}",
                f"tag it {fits.name}, or build it on an older system"
                if fits is not None
                else "bundle the libraries (auditwheel repair), or require the wheel that holds them",
            )


def _platform_needs(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What `auditwheel show` says: the oldest system on which the native files of a wheel load."""
    found = [(one, wanted, best(wanted)) for one, wanted, _promised in _tagged(analysis)]
    if len(found) == 1:
        one, wanted, fits = found[0]
        every = highest(version for names in wanted.versions.values() for version in names)
        shown = [every[family] for family in FAMILIES if family in every]
        yield Verdict(
            one.folder,
            f"needs at most {', '.join(shown) or 'no versioned symbols'}: "
            + (f"fits {fits.name}" if fits is not None else "fits no manylinux policy"),
            "nothing; its users need at least that system"
            if fits is not None
            else "see that its users have it all: no manylinux system does",
            about=fits.name if fits is not None else "none",
        )
    elif found:
        found.sort(key=lambda row: row[2].libc if row[2] is not None else UNKNOWN_LIBC, reverse=True)
        lines = [f"{one.name} {fits.name if fits is not None else 'none'}" for one, _wanted, fits in found]
        yield Verdict(
            analysis.target.name,
            f"{len(found):,} distributions with native files; the oldest policies that they fit, the newest "
            f"first: {some(lines, SHOWN)}",
            "nothing; their users need at least the first of these systems",
            about=newest.name if (newest := found[0][2]) is not None else "none",
        )


def _tagged(analysis: Analysis) -> Iterator[tuple[Distribution, Needs, list[Policy]]]:
    facts = analysis.python
    for one in facts.own:
        wanted = facts.needs.get(one.folder)
        if wanted is not None:
            promised = [found for tag in one.platforms if (found := policy_of(tag, wanted.machine))]
            if promised:
                yield one, wanted, promised


def _with_libc(libc: Libc | None) -> str:
    if libc is None:
        return ""
    return f" with {libc.kind}" + (f" {libc.version[0]}.{libc.version[1]}" if libc.version else "")


RULES = (
    Rule(
        key="foreign-extension",
        severity=Severity.ERROR,
        judge=_foreign_extension,
        means="the tag in the name of an extension module is not that of the Python which is to import it",
        matters="its import looks for other names: ModuleNotFoundError",
        mend="install the wheel for this Python: pip download --python-version --abi --platform",
        source="PEP 3149; CPython, Python/dynload_shlib.c, _PyImport_DynLoadFiletab",
    ),
    Rule(
        key="foreign-wheel",
        severity=Severity.WARNING,
        judge=_foreign_wheel,
        means="pip would not install the distribution here, by its tags or by Requires-Python",
        matters="it is made and tested for another Python, C library or processor",
        mend="let pip choose it for this system",
        source="PEP 425, 600 and 656; Core metadata specifications, Requires-Python",
    ),
    Rule(
        key="platform-tag",
        severity=Severity.WARNING,
        judge=_platform_tag,
        means="native files need symbol versions or libraries that the wheel's platform tag does not promise",
        matters="pip installs it where it does not load: 'version `GLIBC_2.29' not found'",
        mend="tag it by what it needs (auditwheel repair), or build it in the image of the tag it has",
        source="PEP 600; PEP 656; auditwheel's policies",
    ),
    Rule(
        key="spare-extension",
        severity=Severity.NOTE,
        judge=_spare_extension,
        means="an extension module is there in builds for other Pythons, too",
        matters="they are never opened and cost bytes",
        mend="leave them out",
        source="PEP 3149",
    ),
    Rule(
        key="platform-needs",
        severity=Severity.NOTE,
        judge=_platform_needs,
        means="the highest symbol versions that a wheel's native files need, and the policy that promises them",
        matters="it says on how old a system the wheel runs, whatever its tag says",
        mend="nothing; build in an older manylinux image to reach older systems",
        source="PEP 600; auditwheel's policies",
    ),
)
