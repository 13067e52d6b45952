"""Limits as the platform measures them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.budget import OPENWHISK_CODE_BYTES, OPENWHISK_ZIP_BYTES, Budget, Limit, base64_length, budgets
from audit.readers.builder import TreeBuilder
from audit.tree import Tree


@given(st.binary(max_size=100))
def test_the_base64_length_is_that_of_the_text(content: bytes) -> None:
    assert base64_length(len(content)) == len(base64.b64encode(content))


def test_the_largest_zip_that_the_platform_takes_has_36_mib() -> None:
    assert OPENWHISK_ZIP_BYTES == 37_748_736
    assert base64_length(OPENWHISK_ZIP_BYTES) == OPENWHISK_CODE_BYTES == 50_331_648
    assert base64_length(OPENWHISK_ZIP_BYTES + 1) > OPENWHISK_CODE_BYTES


def tree_of(archive_size: int | None) -> Tree:
    return TreeBuilder("x").build("zip" if archive_size is not None else "image", archive_size=archive_size)


@pytest.mark.parametrize(
    ("size", "over"),
    [
        (5_000_000, [False, False, False]),
        (OPENWHISK_ZIP_BYTES, [False, False, False]),
        (OPENWHISK_ZIP_BYTES + 1, [True, True, False]),
        (OPENWHISK_CODE_BYTES + 1, [True, True, True]),
    ],
)
def test_a_zip_is_over_by_its_base64_text_while_the_plain_limit_only_stands_beside(
    size: int, over: list[bool]
) -> None:
    found = budgets(tree_of(size), 0, None)
    assert [budget.over for budget in found] == over
    assert [budget.decides for budget in found] == [True, False, False]


def test_an_image_has_the_budget_that_the_user_sets_on_its_files() -> None:
    assert budgets(tree_of(None), 61, None) == ()
    (budget,) = budgets(tree_of(None), 61, Limit(bytes=60, label="image"))
    assert (budget.label, budget.used, budget.left, budget.over) == ("image", 61, -1, True)


def test_a_limit_of_the_user_on_a_zip_counts_its_own_bytes() -> None:
    assert budgets(tree_of(70), 999, Limit(bytes=60))[-1].used == 70


def test_a_limit_of_nothing_is_always_over() -> None:
    budget = Budget(label="x", limit=0, used=1, reason="")
    assert budget.over
    assert budget.share == float("inf")
