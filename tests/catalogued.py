"""Files for tests, which are skipped where what they need is neither bundled nor to be reached."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

from cli.pipeline import Pipeline
from cli.settings import MIRRORS
from cli.supply import Supply, supply_of
from cli.tests import settings
from model_fetch import Entry, Model, load_catalog
from tests.odd_images import ODD_IMAGES
from tests.variants import VARIANTS, Expected, variant

_T = TypeVar("_T")


@cache
def supply() -> Supply:
    """One for all tests, so that a host that cannot be reached is waited for once."""
    return supply_of(Pipeline(settings()))


def needed(entry: Entry) -> tuple[Path, ...]:
    """The verified files of an entry; skips the test that asks where they cannot be had."""
    return supply().find(entry) or _skip(entry)


PICTURES: dict[str, Expected] = VARIANTS | {name: odd.expected for name, odd in ODD_IMAGES.items()}
"""Pictures of all kinds, good and bad, and what must become of each."""


def picture(name: str) -> bytes:
    """One of PICTURES; skips the test that asks where it cannot be had."""
    if name in VARIANTS:
        return variant(name)
    odd = ODD_IMAGES[name]
    content = odd.read(supply())
    return _skip(odd.sample) if content is None else content


def at_hand(entries: Sequence[Entry]) -> list[str]:
    """The names of those entries that can be had."""
    return [entry.name for entry in entries if supply().find(entry)]


class ByEntry(dict[str, _T]):
    """Something for each entry that can be had, by its name; asking for another one's skips the test that asks."""

    def __missing__(self, name: str) -> NoReturn:
        needed(load_catalog().entry(name))
        raise KeyError(name)


def _skip(entry: Entry) -> NoReturn:
    # tests/conftest.py reads this, to say all of it in one line.
    kind = "model" if isinstance(entry, Model) else "picture"
    host = entry.files[0].location.parts[0]
    pytest.skip(f"the {kind} {entry.name} is not bundled, and {host} cannot be reached: set {MIRRORS}")
