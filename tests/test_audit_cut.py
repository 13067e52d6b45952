"""The cut plan: what to remove, in which order, until it fits."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.budget import Budget
from audit.cut import ZIP_ENTRY_BYTES, Cut, CutPlan, Tier, cut_plan
from audit.owners import Package
from audit.sizes import FileSize

FILES = {"/a": 100, "/b": 50, "/c": 30, "/d": 20}


def file_of(path: str, size: int, compressed: int | None = None) -> FileSize:
    package = Package(manager="folder", name="(top)")
    return FileSize(path=path, package=package, size=size, compressed=compressed)


def cut(name: str, *paths: str, part: int | None = None, **more: Any) -> Cut:
    return Cut(kind="test", subject=name, why="because", saves=dict.fromkeys(paths, part), **more)


def plan_of(limit: int, *cuts: Cut, **more: Any) -> CutPlan:
    budget = Budget(label="x", limit=limit, used=sum(FILES.values()), reason="", **more)
    return cut_plan(budget, [file_of(path, size) for path, size in FILES.items()], cuts)


def told(plan: CutPlan) -> list[tuple[str, int, int]]:
    return [(step.cut.subject, step.size, step.left) for step in plan.steps]


A, B, C, D = (cut(name, f"/{name}") for name in "abcd")


@pytest.mark.parametrize(
    ("limit", "cuts", "steps"),
    [
        (199, (D, C, B, A), [("a", 100, 100)]),
        (80, (D, C, B, A), [("a", 100, 100), ("b", 50, 50)]),
        (0, (A, B, C, D), [("a", 100, 100), ("b", 50, 50), ("c", 30, 20), ("d", 20, 0)]),
        (10, (D,), [("d", 20, 180)]),
        (10, (), []),
    ],
    ids=["one is enough", "largest first", "all", "as far as it goes", "nothing to cut"],
)
def test_the_largest_cuts_come_first_until_it_fits(
    limit: int, cuts: tuple[Cut, ...], steps: list[tuple[str, int, int]]
) -> None:
    plan = plan_of(limit, *cuts)
    assert told(plan) == steps
    assert plan.fits is (plan.after <= limit)


def test_harmless_cuts_are_taken_before_those_at_a_price_even_when_these_bring_more() -> None:
    priced = cut("a", "/a", tier=Tier.AT_A_PRICE)
    assert told(plan_of(130, priced, B, C)) == [("b", 50, 150), ("c", 30, 120)]


def test_a_cut_at_a_price_makes_harmless_ones_needless_where_it_is_enough() -> None:
    priced = cut("a", "/a", tier=Tier.AT_A_PRICE)
    plan = plan_of(110, priced, B, C)
    assert told(plan) == [("a", 100, 100)]
    assert plan.harmless == 120


def test_what_two_cuts_would_bring_is_counted_once() -> None:
    assert told(plan_of(0, cut("ab", "/a", "/b"), cut("bc", "/b", "/c"))) == [("ab", 150, 50), ("bc", 30, 20)]


def test_stripping_brings_a_part_of_a_file_and_removing_it_the_rest() -> None:
    strip = cut("strip", "/a", part=70)
    assert told(plan_of(150, strip)) == [("strip", 70, 130)]
    assert told(plan_of(0, strip, A)) == [("a", 100, 100)]


def test_what_comes_in_its_place_is_taken_off() -> None:
    replaced = cut("a", "/a", tier=Tier.AT_A_PRICE, adds=90)
    assert told(plan_of(195, replaced)) == [("a", 10, 190)]
    assert told(plan_of(195, cut("a", "/a", adds=100))) == []


def test_bytes_outside_of_the_files_come_free_by_a_negative_addition() -> None:
    assert told(plan_of(100, cut("hidden", adds=-120))) == [("hidden", 120, 80)]


def test_only_the_files_that_a_budget_is_about_are_cut() -> None:
    plan = plan_of(190, A, D, paths=frozenset({"/d"}))
    assert told(plan) == [("d", 20, 180)]


def test_in_a_zip_compressed_bytes_and_headers_count() -> None:
    files = [file_of("/action/a", 1000, 100), file_of("/action/b", 1000, 500)]
    budget = Budget(label="x", limit=0, used=10_000, reason="", packed=True)
    cuts = [cut("a", "/action/a"), cut("b", "/action/b", part=100)]
    plan = cut_plan(budget, files, cuts, "/action")
    # A tenth of b's content is taken for half a tenth of what it takes in the zip: what strip removes deflates well.
    headers = ZIP_ENTRY_BYTES + 2 * len("a")
    assert [(step.cut.subject, step.size) for step in plan.steps] == [
        ("a", 100 + headers),
        ("b", (500 + headers) // 10 // 2),
    ]


def test_a_step_shows_its_largest_files() -> None:
    (step,) = plan_of(190, cut("all", "/d", "/a", "/c", "/b")).steps
    assert (step.files, step.paths) == (4, ("/a", "/b", "/c"))


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=7),
    st.integers(0, 100),
    st.randoms(use_true_random=False),
)
def test_cuts_that_do_not_overlap_take_the_fewest_steps_whatever_their_order(
    sizes: list[int], share: int, random: Any
) -> None:
    files = [file_of(f"/{number}", size) for number, size in enumerate(sizes)]
    cuts = [cut(str(number), f"/{number}") for number in range(len(sizes))]
    used = sum(sizes)
    need = max(1, used * share // 100)
    budget = Budget(label="x", limit=used - need, used=used, reason="")
    plan = cut_plan(budget, files, cuts)
    fewest = next(
        count
        for count in range(len(sizes) + 1)
        if any(sum(chosen) >= need for chosen in combinations(sizes, count))
    )
    assert plan.fits
    assert len(plan.steps) == fewest
    random.shuffle(cuts)
    assert cut_plan(budget, files, cuts) == plan
