"""Turns a model's scores into the answer: probabilities, best first, each with its label."""

from __future__ import annotations

import heapq
import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGITS = 6  # a quantised model has steps of 1/256, a float one noise from the seventh digit on


def softmax(scores: Sequence[float]) -> list[float]:
    """Turn logits into probabilities that add up to 1; the greatest comes off first, so nothing overflows."""
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    total = sum(weights)
    return [weight / total for weight in weights]


def rank(probabilities: Sequence[float], top: int, least: float) -> list[tuple[int, float]]:
    """Give (class, probability) of the `top` best with at least `least`, best first, equals by class."""
    best = heapq.nsmallest(top, range(len(probabilities)), key=lambda index: (-probabilities[index], index))
    return [(index, probabilities[index]) for index in best if probabilities[index] >= least]


def results(ranked: Sequence[tuple[int, float]], labels: Sequence[str]) -> list[dict[str, object]]:
    """Write a ranking as `{"className": ..., "probability": ...}` each; `labels` has one per class."""
    return [{"className": labels[index], "probability": round(value, _DIGITS)} for index, value in ranked]
