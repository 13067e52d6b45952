"""From scores to the answer."""

import json
import math

import pytest

from action.classifier.ranking import rank, results, softmax


def test_softmax_adds_up_to_one_and_bears_any_logits() -> None:
    assert softmax([0.0, math.log(3)]) == pytest.approx([0.25, 0.75])
    assert softmax([1000.0, 1000.0, -1000.0]) == pytest.approx([0.5, 0.5, 0.0])
    assert sum(softmax([index / 7 for index in range(1001)])) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("top", "least", "expected"),
    [
        (1, 0.0, [(2, 0.5)]),
        (3, 0.0, [(2, 0.5), (1, 0.2), (3, 0.2)]),
        (4, 0.2, [(2, 0.5), (1, 0.2), (3, 0.2)]),
        (4, 0.0, [(2, 0.5), (1, 0.2), (3, 0.2), (0, 0.1)]),
        (4, 0.9, []),
    ],
)
def test_the_best_come_first_and_equals_in_order_of_class(
    top: int, least: float, expected: list[tuple[int, float]]
) -> None:
    assert rank([0.1, 0.2, 0.5, 0.2], top, least) == expected


def test_results_have_the_storys_form() -> None:
    found = results([(1, 0.97265625), (0, 1e-9)], ["background", "giant panda, panda"])
    assert json.dumps(found) == (
        '[{"className": "giant panda, panda", "probability": 0.972656}, '
        '{"className": "background", "probability": 0.0}]'
    )
