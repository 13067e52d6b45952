"""Plans what to remove, in which order, until a target fits: the fewest steps, and the harmless ones first."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from audit.budget import Budget
    from audit.sizes import FileSize

SHOWN_PATHS = 3
# APPNOTE.TXT 4.3.7 and 4.3.12: each entry of a zip has a local header of 30 bytes and a central one of 46, both
# with its name.
ZIP_ENTRY_BYTES = 76
# What a part of a file takes in the zip is not known. Symbol tables and debug information deflate better than code:
# stripping NumPy and SciPy brought 0.6 of their share of the compressed bytes. A plan must not promise too much.
PART_DEFLATES = 2


class Tier(IntEnum):
    """What a cut costs: nothing that anybody notices, or something that must be accepted."""

    HARMLESS = 1
    AT_A_PRICE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Something that could go: `saves` maps each file to the bytes that come free in it (None: all of it).

    `subject` is the package (or the like) that it is about, `why` says why it is safe. `adds` and `adds_packed`
    are bytes that come in its place, or, negative, bytes that come free in none of the files.
    """

    kind: str
    subject: str
    why: str
    saves: Mapping[str, int | None]
    tier: Tier = Tier.HARMLESS
    adds: int = 0
    adds_packed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One cut of a plan: `size` bytes come free in `files` files, `left` bytes are then used; `paths` are examples."""

    cut: Cut
    size: int
    files: int
    left: int
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPlan:
    """How to get a budget that is over to fit, as far as it goes: `after` is what is then used.

    `harmless` is what is used after harmless cuts alone: all there are, or as many as make it fit.
    """

    budget: Budget
    harmless: int
    steps: tuple[Step, ...] = field(default=())

    @property
    def after(self) -> int:
        """Bytes used after the last step."""
        return self.steps[-1].left if self.steps else self.budget.used

    @property
    def fits(self) -> bool:
        """Tell whether the target then fits."""
        return self.after <= self.budget.limit


def cut_plan(budget: Budget, files: Sequence[FileSize], cuts: Iterable[Cut], at: str = "/") -> CutPlan:
    """Plan what to remove from `files` (of a target that lies at `at`) until `budget` fits.

    Harmless cuts are tried alone before those at a price. Of what may be cut, the largest come first, which
    takes the fewest steps where cuts do not overlap; steps that turn out to be needless are dropped, the
    smallest first. The same input gives the same plan. Bytes are those the budget counts: in a zip, compressed
    ones with the headers of the entry, and a cautious estimate for parts of files.
    """
    costs = {
        file.path: _cost(file, at, packed=budget.packed)
        for file in files
        if budget.paths is None or file.path in budget.paths
    }
    known = sorted(cuts, key=lambda cut: (cut.tier, cut.kind, cut.subject))
    need = budget.used - budget.limit
    sized = {file.path: file.size for file in files}
    harmless = [cut for cut in known if cut.tier == Tier.HARMLESS]
    taken = _largest(harmless, costs, sized, need, packed=budget.packed)
    least = budget.used - sum(gain for _, gain in taken)
    if least > budget.limit:
        taken = _largest(known, costs, sized, need, packed=budget.packed)
    kept = _needed(taken, need)
    kept.sort(key=lambda pair: (pair[0].tier, -pair[1], pair[0].kind, pair[0].subject))
    steps, left = [], budget.used
    for cut, gain in kept:
        left -= gain
        paths = sorted((path for path in cut.saves if path in costs), key=lambda path: (-costs[path], path))
        steps.append(Step(cut=cut, size=gain, files=len(paths), left=left, paths=tuple(paths[:SHOWN_PATHS])))
    return CutPlan(budget=budget, harmless=least, steps=tuple(steps))


def _largest(
    cuts: Sequence[Cut], costs: Mapping[str, int], sized: Mapping[str, int], need: int, *, packed: bool
) -> list[tuple[Cut, int]]:
    """Take the cut that brings most, again and again; what one takes, another does not bring once more."""
    left = dict(costs)

    def gains(cut: Cut) -> dict[str, int]:
        found = {}
        for path, saved in cut.saves.items():
            have = left.get(path, 0)
            if saved is not None and have:
                share = saved * costs[path] // max(1, sized[path]) // PART_DEFLATES if packed else saved
                have = min(have, share)
            if have:
                found[path] = have
        return found

    def gain(cut: Cut) -> int:
        return sum(gains(cut).values()) - (cut.adds_packed if packed else cut.adds)

    heap = [(-gain(cut), number) for number, cut in enumerate(cuts)]
    heapq.heapify(heap)
    taken: list[tuple[Cut, int]] = []
    while heap and need > 0:
        bound, number = heapq.heappop(heap)
        cut = cuts[number]
        now = gain(cut)
        if now <= 0:
            continue
        if -bound != now:  # something that was taken since overlaps with it
            heapq.heappush(heap, (-now, number))
            continue
        for path, size in gains(cut).items():
            left[path] -= size
        taken.append((cut, now))
        need -= now
    return taken


def _needed(taken: Sequence[tuple[Cut, int]], need: int) -> list[tuple[Cut, int]]:
    kept = list(taken)
    spare = sum(gain for _, gain in kept) - need
    for pair in sorted(taken, key=lambda pair: (-pair[0].tier, pair[1])) if spare >= 0 else ():
        if pair[1] <= spare:
            kept.remove(pair)
            spare -= pair[1]
    return kept


def _cost(file: FileSize, at: str, *, packed: bool) -> int:
    if not packed:
        return file.size
    name = file.path.removeprefix(at).lstrip("/")
    return (file.compressed or 0) + ZIP_ENTRY_BYTES + 2 * len(name.encode("utf-8", "surrogateescape"))
