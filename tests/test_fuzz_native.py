"""What surrounds the fuzzers of the native library: their files, and how Valgrind's words are read."""

import pytest

from images.operators import read_operators
from tests.fuzz_native.build import HERE
from tests.fuzz_native.fuzzer import OPTIONS, seeds
from tests.fuzz_native.leaks import parse

SUMMARY = """
==1==    definitely lost: {} bytes in 1 blocks
==1==    indirectly lost: {} bytes in 0 blocks
==1==      possibly lost: {} bytes in 0 blocks
==1==    still reachable: 73,208 bytes in 11 blocks
==1== ERROR SUMMARY: {} errors from 0 contexts (suppressed: 1,001 from 1)
"""


@pytest.mark.parametrize(
    ("numbers", "lost", "errors"),
    [((0, 0, 0, 0), 0, 0), (("1,024", 16, 8, 3), 1048, 3), ((0, 0, 0, "2,002"), 0, 2002)],
)
def test_valgrinds_summary_is_read(numbers: tuple[object, ...], lost: int, errors: int) -> None:
    memory = parse(SUMMARY.format(*numbers))
    assert (memory.lost, memory.errors) == (lost, errors)


def test_nothing_in_use_is_nothing_lost() -> None:
    said = "All heap blocks were freed -- no leaks are possible\nERROR SUMMARY: 0 errors from 0 contexts"
    assert parse(said).lost == 0


@pytest.mark.parametrize("text", ["", "the model cannot be read", "ERROR SUMMARY: 0 errors from 0 contexts"])
def test_a_run_that_ended_early_is_no_clean_one(text: str) -> None:
    with pytest.raises(ValueError, match="not come to its end"):
        parse(text)


@pytest.mark.parametrize("target", ["jpeg", "model"])
def test_a_fuzzer_has_what_it_starts_from(target: str) -> None:
    assert len(seeds(target)) >= 9
    assert target in OPTIONS


def test_the_seeds_stay_small() -> None:
    files = [path for path in HERE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 300_000


def test_the_models_of_the_corpus_use_every_operator_of_the_catalogued_ones() -> None:
    used = {
        o.builtin for file in (HERE / "corpus/model").iterdir() for o in read_operators(file.read_bytes())
    }
    catalogued = {
        0,
        1,
        3,
        4,
        22,
        25,
        40,
        43,
        114,
    }  # ADD AVERAGE_POOL_2D CONV DEPTHWISE RESHAPE SOFTMAX MEAN SQUEEZE QUANTIZE
    assert used == catalogued
