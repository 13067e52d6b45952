"""Puts numbers and lists into the words of a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def counted(count: int, one: str, several: str = "") -> str:
    """Give `1 library` or `2,000 libraries`; `several` is the plural where it is not `one` with an s."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def some(words: Sequence[str], most: int, others: str = "more") -> str:
    """Give the first `most` of the words, and how many `others` there are."""
    left = len(words) - most
    return ", ".join(words[:most]) + (f" and {left:,} {others}" if left > 0 else "")
