"""How much a decoder may use."""

import pytest

from action.classifier.memory import decoder_budget

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("limit", "resident", "budget"),
    [(None, 50, 160), (512, 50, 160), (256, 50, 158), (256, 60, 148), (128, 40, 40), (64, 40, 8)],
)
def test_the_budget_is_what_the_container_leaves_within_bounds(
    limit: int | None, resident: int, budget: int
) -> None:
    assert decoder_budget(None if limit is None else limit * MIB, resident * MIB) == budget * MIB
