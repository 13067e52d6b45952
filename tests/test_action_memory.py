"""How much a decoder may use, and that it gets no more."""

import subprocess
import sys
from pathlib import Path

import pytest

from action.classifier.memory import capped, decoder_budget, read_limit

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("limit", "resident", "budget"),
    [(None, 50, 160), (512, 50, 160), (256, 50, 158), (256, 60, 148), (128, 40, 40), (64, 40, 8)],
)
def test_the_budget_is_what_the_container_leaves_within_bounds(
    limit: int | None, resident: int, budget: int
) -> None:
    assert decoder_budget(None if limit is None else limit * MIB, resident * MIB) == budget * MIB


@pytest.mark.parametrize(
    ("text", "limit"),
    [("268435456\n", 256 * MIB), ("max\n", None), ("9223372036854771712\n", None), ("", None), ("?", None)],
)
def test_the_limit_is_what_the_first_file_there_says(tmp_path: Path, text: str, limit: int | None) -> None:
    (tmp_path / "there").write_text(text)
    assert read_limit((str(tmp_path / "not there"), str(tmp_path / "there"))) == limit
    assert read_limit((str(tmp_path / "not there"),)) is None


# In a process of its own: the cap is the whole process's, and what this one holds already would blur it.
CAPPED = """
import resource, sys
from action.classifier.memory import capped
from action.classifier.stages import resident_bytes

before = resource.getrlimit(resource.RLIMIT_DATA)
try:
    with capped(resident_bytes() + int(sys.argv[1]), resident_bytes()):
        len(bytes(int(sys.argv[2])))
    print("there")
except MemoryError:
    print("refused")
assert resource.getrlimit(resource.RLIMIT_DATA) == before
len(bytes(100_000_000))
"""


@pytest.mark.parametrize(
    ("left", "wanted", "outcome"),
    [(200, 150, "there"), (200, 190, "refused"), (100, 70, "there"), (100, 90, "refused"), (0, 6, "there")],
)
def test_a_decoder_gets_what_the_container_has_left_but_a_reserve(
    left: int, wanted: int, outcome: str
) -> None:
    command = [sys.executable, "-c", CAPPED, str(left * MIB), str(wanted * MIB)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent
    )
    assert done.stdout.strip() == outcome


def test_without_a_limit_there_is_no_cap() -> None:
    with capped(None, 0):
        assert len(bytes(200 * MIB)) == 200 * MIB
