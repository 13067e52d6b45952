"""Do native files and the NumPy beside them, or the one that pip would install, speak the same C-API?"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import some

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.analysis import Analysis
    from audit.numpy_abi import NumpyApi
    from audit.wheels import Distribution

DEFAULT_MINOR = 11  # for markers, where neither the tree nor the tags name a Python
NUMPY_2 = tuple(f"2.{minor}.0" for minor in range(30))


def _numpy_abi(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """`import_array` compares versions: in most modules at import, in some (tflite-runtime) at first use."""
    facts = analysis.python
    groups: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for path, api in facts.numpy_apis.items():
        owner = facts.owner.get(path)
        numpy = _beside(facts.numpys, owner)
        if numpy is not None and numpy.release is not None and not api.runs_under(numpy.release):
            groups[facts.place(path), _built_for(api), numpy.version].append(path)
    for (place, built_for, version), paths in groups.items():
        yield Verdict(
            place,
            f"{some(paths, 1)}: compiled for {built_for}, and beside it lies NumPy {version}: it raises at import "
            "or first use",
            f"install a build for NumPy {version.partition('.')[0]}, or {built_for}",
            about=built_for,
        )


def _numpy_unbounded(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Compiled for NumPy 1, but its metadata lets pip install NumPy 2 beside it."""
    facts = analysis.python
    if facts.numpys:
        return  # what lies beside is known
    groups: defaultdict[str, list[str]] = defaultdict(list)
    owners: dict[str, Distribution] = {}
    for path, api in facts.numpy_apis.items():
        owner = facts.owner.get(path)
        if owner is not None and api.generation == 1:
            owners[owner.folder] = owner
            groups[owner.folder].append(path)
    for folder, paths in groups.items():
        one = owners[folder]
        minor = next((python.minor for python in (*one.interpreters, *facts.interpreters)), DEFAULT_MINOR)
        if one.admits("numpy", NUMPY_2, minor):
            wish = next(line for line in one.requires if line.lower().startswith("numpy"))
            yield Verdict(
                folder,
                f"compiled for NumPy 1 ({some(paths, 1)}), but requires {wish!r}, which lets NumPy 2 in: "
                "under that it raises at import or first use",
                "install numpy<2 with it",
            )


def _beside(numpys: Iterable[Distribution], owner: Distribution | None) -> Distribution | None:
    """Choose the NumPy in the same folder, else the first."""
    found = sorted(numpys, key=lambda numpy: owner is None or numpy.site != owner.site)
    return found[0] if found else None


def _built_for(api: NumpyApi) -> str:
    if api.generation == 1:
        return "NumPy 1"
    return "NumPy 2" if api.oldest is None else f"NumPy {api.oldest[0]}.{api.oldest[1]} or newer"


RULES = (
    Rule(
        key="numpy-abi",
        severity=Severity.ERROR,
        judge=_numpy_abi,
        means="a native file is compiled for another generation of NumPy's C-API than the NumPy beside it",
        matters="import_array raises, at import or first use: 'compiled using NumPy 1.x cannot be run in NumPy 2'",
        mend="install a build for that NumPy, or a NumPy for that build (numpy<2 for those of NumPy 1)",
        source="NumPy, __multiarray_api.h, _import_array; NumPy 2.0 migration guide, 'C-API changes'",
    ),
    Rule(
        key="numpy-unbounded",
        severity=Severity.WARNING,
        judge=_numpy_unbounded,
        means="a native file is compiled for NumPy 1, and the distribution's requirements admit NumPy 2",
        matters="pip installs NumPy 2 beside it, and it raises at import or first use",
        mend="install numpy<2 with it",
        source="NumPy, __multiarray_api.h, _import_array; NumPy 2.0 migration guide, 'C-API changes'",
    ),
)
