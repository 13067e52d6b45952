"""Whatever it is given, the auditor ends in a minute and a GiB, with findings or words: never with a traceback."""

import json
import random
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import archives, installed
from tests.fuzz.confined import MEMORY_BYTES, Outcome, run
from tests.fuzz.targets import BORDER, TARGETS, feed, saved_image, seeds, tarred, zipped
from tests.hostile import FIXTURES, elf_files, machine_libraries, mutated, regions
from tests.packed import PACK

# So many of the 20,000 and more that `python -m tests.fuzz.mutate` runs; a seed that found something is worth adding.
MUTATIONS, SEED = 600, 2026
FOUND = Path(__file__).parent / "fuzz" / "found"


def faults(outcomes: list[Outcome]) -> list[str]:
    return [f"{one.name}: {one.fault}" for one in outcomes if one.fault]


def as_expected(one: Outcome, words: str) -> bool:
    """Tell whether a rule or an error of the name expected is among what came of it."""
    said = (*one.rules, one.error.partition(":")[0])
    return not one.fault and (not words or any(word in text for word in words.split("|") for text in said))


@pytest.mark.parametrize("module", [archives, installed], ids=["archives", "installed"])
def test_what_attackers_make_gets_its_finding_or_is_refused_in_words(module: object) -> None:
    expected = module.EXPECTED  # type: ignore[attr-defined]
    outcomes = run(f"{module.__name__}:cases")  # type: ignore[attr-defined]
    assert faults(outcomes) == []
    slow = getattr(module, "SLOW", ())
    assert {one.name for one in outcomes} == expected.keys() - set(slow)
    assert [one for one in outcomes if not as_expected(one, expected[one.name])] == []
    assert max(one.peak for one in outcomes) < MEMORY_BYTES


def test_elf_files_altered_at_random_get_findings_or_are_refused_in_words() -> None:
    outcomes = run("tests.fuzz.mutate:mutations", SEED, 0, MUTATIONS)
    assert faults(outcomes) == []
    assert len(outcomes) == MUTATIONS
    assert sum("malformed-elf" in one.rules for one in outcomes) > MUTATIONS // 5


def test_altered_libraries_of_this_machine_get_findings_or_are_refused_in_words() -> None:
    outcomes = run("tests.fuzz.mutate:library_mutations", SEED, 0, 40)
    assert faults(outcomes) == []
    assert len(outcomes) == (40 if machine_libraries() else 0)


@pytest.mark.parametrize("name", ["protection/files/full.so", "trees/rpath-inherited/app/prog"])
def test_an_elf_file_cut_at_every_64th_byte_is_malformed_or_no_elf_file(name: str) -> None:
    path = FIXTURES / name
    outcomes = run("tests.fuzz.mutate:truncations", str(path), 64)
    assert faults(outcomes) == []
    assert len(outcomes) == -(-path.stat().st_size // 64)
    assert [one.name for one in outcomes if not one.error and "malformed-elf" not in one.rules] == []


@pytest.mark.parametrize("path", machine_libraries()[:1], ids=str)
def test_a_large_library_cut_anywhere_is_malformed(path: Path) -> None:
    step = path.stat().st_size // 100
    outcomes = run("tests.fuzz.mutate:truncations", str(path), step)
    assert faults(outcomes) == []
    assert [one.name for one in outcomes if not one.error and "malformed-elf" not in one.rules] == []


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_of_the_fuzzer_is_taken_by_its_target(target: str) -> None:
    contents = list(seeds(target))
    assert contents
    for content in contents:
        feed(target, content)


@pytest.mark.parametrize(
    "path", sorted(FOUND.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_what_once_made_it_fail_does_so_no_more(path: Path) -> None:
    feed(path.parent.name, path.read_bytes())


def test_a_child_that_fails_or_takes_too_much_is_a_fault() -> None:
    outcomes = run("tests.fuzz.confined:faulty", "raise")
    assert "ZeroDivisionError" in outcomes[0].fault
    assert "MemoryError" in run("tests.fuzz.confined:faulty", "fill")[0].fault
    assert "ended with" in run("tests.fuzz.confined:faulty", "exit")[0].fault


def test_mutations_are_the_same_for_a_seed_and_hit_the_tables() -> None:
    content = elf_files()[0].read_bytes()
    assert mutated(content, random.Random(1)) == mutated(content, random.Random(1)) != content
    assert len(regions(content)) > 5


def test_the_command_for_many_mutations_says_what_came_of_them() -> None:
    command = [sys.executable, "-m", "tests.fuzz.mutate", "--count", "20", "--seed", "3"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("20 inputs: ")
    assert " 0 faults" in done.stdout


# What a stranger may write into archives and images, built so that it is reached: names, sizes, links, metadata.
NAMES = st.one_of(
    st.sampled_from(
        ["a", "a/b", "lib/liba.so", "usr/lib", "../x", "/y", ".wh.a", ".wh..wh..opq", ".", "a/.wh.b"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
)
ELVES = st.integers(0, len(elf_files()) - 1).map(lambda number: elf_files()[number].read_bytes())
CONTENTS = st.one_of(
    st.binary(max_size=64), ELVES, st.builds(lambda e, n: mutated(e, random.Random(n)), ELVES, st.integers())
)
FILES = st.dictionaries(NAMES, CONTENTS, max_size=6)
KINDS = st.sampled_from([bytes([kind]) for kind in b"01234567xgLKSVD"])


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """Give a tar whose headers fit together, but for what each of them claims."""
    data = b""
    for name, content in draw(FILES).items():
        member = tarfile.TarInfo(name)
        member.type, member.linkname = draw(KINDS), draw(NAMES)
        member.size = draw(st.one_of(st.just(len(content)), st.integers(0, 1 << 34)))
        data += (
            member.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape") + content + bytes(-len(content) % 512)
        )
    return data + draw(st.sampled_from([b"", bytes(512), bytes(1024)]))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["config", "history", "Env", "Labels", "User", "Cmd", "created_by", "architecture"]
            ),
            inner,
        ),
    ),
    max_leaves=12,
)
IMAGES = st.builds(saved_image, st.lists(FILES, max_size=3), JSON)
OCI = st.builds(
    lambda index, blob: tarred({"index.json": json.dumps(index).encode(), "blobs/a/b": blob}), JSON, CONTENTS
)
LINES = st.lists(
    st.builds(
        lambda key, value: f"{key}: {value}".encode("utf-8", "replace"),
        st.sampled_from(
            ["Tag", "Requires-Dist", "Requires-Python", "Package", "Version", "Architecture", "Name"]
        ),
        st.one_of(
            st.text(max_size=30),
            st.from_regex(r"[a-z]{1,4} ?([<>=!~]=?[0-9.*]{1,9},?){0,3}(; *[a-z_]+ *== *'x')?"),
        ),
    ),
    max_size=6,
).map(b"\n".join)
INPUTS = {
    "zip": st.builds(zipped, FILES),
    "tar": tars(),
    "packed": st.builds(lambda pack, tar: pack(tar), st.sampled_from([*PACK.values()]), tars()),
    "image": st.one_of(IMAGES, OCI, tars()),
    "elf": CONTENTS,
    "wheel": st.builds(lambda *texts: BORDER.join(texts), LINES, LINES, LINES),
    "dpkg": st.builds(lambda *texts: BORDER.join(texts), LINES, st.binary(max_size=90)),
    "baseline": JSON.map(lambda value: json.dumps([value]).encode()),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("target", INPUTS)
def test_whatever_its_structure_an_input_is_judged_or_refused_in_words(target: str) -> None:
    @settings(max_examples=120, deadline=None)
    @given(content=INPUTS[target])
    def holds(content: bytes) -> None:
        feed(target, content)

    holds()


@settings(max_examples=60, deadline=None)
@given(content=st.one_of(FILES.map(zipped), tars(), IMAGES, INPUTS["packed"]), left=st.floats(0, 1))
def test_an_archive_cut_anywhere_is_judged_or_refused_in_words(content: bytes, left: float) -> None:
    for target in ("zip", "tar", "packed", "image"):
        feed(target, content[: int(left * len(content))])
