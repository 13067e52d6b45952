"""Alters real ELF files at random, and audits each: `python -m tests.fuzz.mutate --count 20000`.

Each is audited alone and, every other one, as a file of the zip that its neighbours are in. Says what came of it; a
failure leaves the file that made it in build/fuzz, and the exit code 1. The same seed makes the same files.
"""

import argparse
import random
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.archives import SLOW
from tests.fuzz.confined import ROOT, Case, Outcome, run
from tests.hostile import FIXTURES, elf_files, machine_libraries, mutated

KEPT = ROOT / "build" / "fuzz"
BATCH = 500


def mutations(seed: int, start: int, count: int) -> Iterator[Case]:
    """Give the mutations `start` to `start + count` of a seed."""
    files = elf_files()
    for number in range(start, start + count):
        dice = random.Random(f"{seed} {number}")
        source = dice.choice(files)
        content = mutated(source.read_bytes(), dice)
        yield _as_zip(number, source, content) if number % 2 else _alone(f"mutation-{number}", content)


def library_mutations(seed: int, start: int, count: int) -> Iterator[Case]:
    """Give mutations of large libraries of this machine."""
    files = machine_libraries()
    for number in range(start, start + count) if files else ():
        dice = random.Random(f"library {seed} {number}")
        source = dice.choice(files)
        yield _alone(f"mutation-{number}-of-{source.name}", mutated(source.read_bytes(), dice))


def truncations(path: str, step: int, start: int = 0, end: int = 1 << 40) -> Iterator[Case]:
    """Give a file cut at every `step`th byte between two lengths."""
    content = Path(path).read_bytes()
    for length in range(start, min(end, len(content)), step):
        yield _alone(f"{Path(path).name}-cut-at-{length}", content[:length])


def _alone(name: str, content: bytes) -> Case:
    def make(folder: Path) -> Path:
        path = folder / "lib.so"
        path.write_bytes(content)
        return path

    return Case(name, make)


def _as_zip(number: int, source: Path, content: bytes) -> Case:
    """Pack the tree of fixtures that a file is of, with the altered one in its place."""
    top = FIXTURES / Path(*source.relative_to(FIXTURES).parts[:2])
    top = top if top.is_dir() else source.parent

    def make(folder: Path) -> Path:
        path = folder / "action.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for file in (one for one in elf_files() if one.is_relative_to(top)):
                archive.writestr(str(file.relative_to(top)), content if file == source else file.read_bytes())
        return path

    return Case(f"mutation-{number}", make)


def _batches(options: argparse.Namespace) -> Iterator[tuple[object, ...]]:
    for start in range(0, options.count, BATCH):
        yield "tests.fuzz.mutate:mutations", options.seed, start, min(BATCH, options.count - start)
    for start in range(0, options.libraries, BATCH):
        size = min(BATCH, options.libraries - start)
        yield "tests.fuzz.mutate:library_mutations", options.seed, start, size
    if options.slow:
        yield "tests.fuzz.archives:cases", SLOW
    if options.cut:
        for path in (*elf_files(), *machine_libraries()):
            size = path.stat().st_size
            for at in range(0, size, 64 * BATCH * 4):
                yield "tests.fuzz.mutate:truncations", str(path), 64, at, at + 64 * BATCH * 4


def _summary(outcomes: list[Outcome]) -> str:
    rules = Counter(rule for one in outcomes for rule in one.rules)
    errors = Counter(one.error.partition(":")[0] for one in outcomes if one.error)
    found, faults = (
        sum(map(bool, column)) for column in zip(*((o.rules, o.fault) for o in outcomes), strict=True)
    )
    slowest = max(one.seconds for one in outcomes)
    largest = max(one.peak for one in outcomes) / (1 << 20)
    shown = ", ".join(f"{rule} {count:,}" for rule, count in rules.most_common(12))
    refused = ", ".join(f"{error} {count:,}" for error, count in errors.items())
    return f"""{len(outcomes):,} inputs: {found:,} with findings, {sum(errors.values()):,} refused, {faults:,} faults
slowest {slowest:.1f} s of processor time, largest process {largest:.0f} MiB
findings: {shown}
refused: {refused or "none"}"""


def main() -> int:
    """Run what the options ask for, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.mutate", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="mutations of the fixtures (20000)")
    parser.add_argument("--libraries", type=int, default=0, help="mutations of this machine's libraries (0)")
    parser.add_argument(
        "--cut", action="store_true", help="cut every fixture and library at each 64th byte, too"
    )
    parser.add_argument(
        "--slow", action="store_true", help="the archives that take too long for a unit test, too"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes at once (1)")
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for found in pool.map(lambda batch: run(str(batch[0]), *batch[1:], keep=KEPT), _batches(options)):
            outcomes += found
            for one in found:
                if one.fault:
                    print(f"{one.name}: {one.fault}", file=sys.stderr)
            print(f"\r{len(outcomes):,}", end="", file=sys.stderr)
    print(file=sys.stderr)
    print(_summary(outcomes))
    return int(any(one.fault for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
