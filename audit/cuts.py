"""Gathers what could be removed from an analysed target, with the reason why that is safe."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from audit.cut import Cut, CutPlan, Tier, cut_plan
from audit.leftovers import WHY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from audit.budget import Budget
    from audit.duplicates import Duplicates
    from audit.leftovers import Leftover
    from audit.sizes import FileSize
    from audit.strip import Strippable

HIDDEN = "hidden in layers"
_PRICED = ("bytecode",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A package that `by` can stand in for `when` a condition holds; `bytes` and `packed` are those of `by`."""

    packages: tuple[str, ...]
    by: str
    when: str
    bytes: int
    packed: int


def cut_plans(  # noqa: PLR0913 - all that could go, by name
    budgets: Iterable[Budget],
    files: Sequence[FileSize],
    *,
    at: str,
    name: str,
    unreachable: Iterable[str],
    leftovers: Sequence[Leftover],
    duplicates: Duplicates,
    strippable: Mapping[str, Strippable],
) -> tuple[CutPlan, ...]:
    """Plan the cuts for each budget that decides and is over, of which files are a part.

    `files` are those of the target `name`, which lies at `at`; `unreachable` are those that nothing can load.
    """
    over = [
        budget
        for budget in budgets
        if budget.decides and budget.over and (budget.hidden or budget.paths != frozenset())
    ]
    if not over:
        return ()
    cuts = list(_cuts(files, unreachable, leftovers, duplicates, strippable))
    return tuple(cut_plan(budget, files, [*_hidden(name, budget), *cuts], at) for budget in over)


def _hidden(name: str, budget: Budget) -> Iterator[Cut]:
    """Give the cut of what later layers hide: of the whole image, or of the layer that the budget is about."""
    if budget.hidden:
        why = "later layers hide it: remove it in the step that makes it"
        yield Cut(kind=HIDDEN, subject=name, why=why, saves={}, adds=-budget.hidden)


def _cuts(
    files: Iterable[FileSize],
    unreachable: Iterable[str],
    leftovers: Sequence[Leftover],
    duplicates: Duplicates,
    strippable: Mapping[str, Strippable],
) -> Iterator[Cut]:
    """Give everything that could go: one cut for each kind and package."""
    packages = {file.path: file.package.name for file in files}
    for subject, paths in _by_package(unreachable, packages):
        why = "no entry point reaches it, and no string names it for dlopen"
        yield Cut(kind="unreachable", subject=subject, why=why, saves=dict.fromkeys(paths))
    for kind, why in WHY.items():
        tier = Tier.AT_A_PRICE if kind in _PRICED else Tier.HARMLESS
        found = [leftover.path for leftover in leftovers if leftover.kind == kind]
        for subject, paths in _by_package(found, packages):
            yield Cut(kind=kind, subject=subject, why=why, saves=dict.fromkeys(paths), tier=tier)
    copies = [path for group in duplicates.groups for path in group.paths[1:]]
    for subject, paths in _by_package(copies, packages):
        why = "the same content lies there under another name: make it a symlink"
        yield Cut(kind="duplicate", subject=subject, why=why, saves=dict.fromkeys(paths))
    for subject, paths in _by_package(strippable, packages):
        saves = {path: strippable[path].size for path in paths}
        why = "strip removes what only debuggers and linkers read"
        yield Cut(kind="debug", subject=subject, why=why, saves=saves)
    yield from _replacements(packages)


@cache
def replacements() -> tuple[Replacement, ...]:
    """Give the rows of replacements.toml."""
    document = tomllib.loads(Path(__file__).with_name("replacements.toml").read_text("utf-8"))
    return tuple(
        Replacement(**{**row, "packages": tuple(row["packages"])}) for row in document["replacement"]
    )


def _replacements(packages: Mapping[str, str]) -> Iterator[Cut]:
    for row in replacements():
        for name, paths in _by_package(packages, packages):
            if name.lower().replace("-", "_") in row.packages:
                yield Cut(
                    kind="replaceable",
                    subject=name,
                    why=f"{row.by} does the same when {row.when}",
                    saves=dict.fromkeys(paths),
                    tier=Tier.AT_A_PRICE,
                    adds=row.bytes,
                    adds_packed=row.packed,
                )


def _by_package(paths: Iterable[str], packages: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        if path in packages:
            groups[packages[path]].append(path)
    return sorted(groups.items())
