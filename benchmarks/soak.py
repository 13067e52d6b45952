"""Calls one container thousands of times, with good, bad and broken input: python -m benchmarks.soak --help.

It ends with 1 if resident memory grows by 1 % after the first calls, or if an input is ever answered otherwise than
the first time: warm, after the container was frozen, after errors, or cold in a container of its own.
"""

import argparse
import base64
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError
from tabulate import tabulate

from cli.pipeline import Pipeline
from cli.supply import Supply, supply_of
from cli.tests import settings
from images.activation import Status
from images.errors import ContainerFailed
from images.invoker import Invoker, Limits, invoker
from tests.odd_images import ODD_IMAGES
from tests.variants import VARIANTS, variant

COUNT = 10_000
WARMING = 500  # calls, in which memory may still grow
GROWTH = 0.01
FREEZE_EVERY = 5  # rounds
LEAST_MIB = (12, 256)

Inputs = Mapping[str, Any]  # parameters of the action by the name of the case

BROKEN: Inputs = {
    "no parameters": {},
    "an array": ["image"],
    "an unknown option": {"picture": "x"},
    "no text": {"image": 5},
    "null": {"image": None},
    "empty": {"image": ""},
    "no base64": {"image": "panda.jpg"},
    "half of base64": {"image": "aGVsbG8"},
    "no picture": {"image": base64.b64encode(b"hello" * 1000).decode()},
    "a data: URL of nothing": {"image": "data:image/png;base64,"},
    "top of 0": {"image": "aGVsbG8=", "top": 0},
    "a probability of 2": {"image": "aGVsbG8=", "minProbability": 2},
    "a long text": {"image": "A" * 1_000_000},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Memory in bytes after so many calls, the last of which was always the same.

    `resident` is the processes', `used` what the container's limit is compared with.
    """

    calls: int
    resident: int
    used: int


@dataclass
class Soak:
    """What has been seen so far."""

    inputs: Inputs
    answers: dict[str, str] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    calls: int = 0
    pauses: int = 0

    def call(self, running: Invoker, name: str, when: str) -> None:
        """Call it once more; note an answer that is not the first one's, or costs the container."""
        activation = running.run(self.inputs[name])
        self.calls += 1
        if not activation.classified.kept:
            raise SystemExit(f"call {self.calls}, {name}: {activation.classified}, {activation.stderr}")
        if self.answers.setdefault(name, activation.body) != activation.body:
            self.differing.append(f"{name} ({when})")

    @property
    def settled(self) -> list[Sample]:
        """The samples after the first calls."""
        return [sample for sample in self.samples if sample.calls >= WARMING]

    @property
    def growth(self) -> float:
        """Of resident memory, from the first settled sample to the greatest; 0.01 is 1 %."""
        resident = [sample.resident for sample in self.settled]
        return max(resident) / resident[0] - 1


def pictures(supply: Supply) -> Inputs:
    """Encodings of one photo; and what decoders dislike, as far as it can be had."""
    made = {name: variant(name) for name in VARIANTS}
    odd = {name: content for name, image in ODD_IMAGES.items() if (content := image.read(supply)) is not None}
    return {name: {"image": base64.b64encode(content).decode()} for name, content in (made | odd).items()}


def soak(
    start: Callable[[], Any], inputs: Inputs, count: int, show: Callable[[str], None] = lambda _line: None
) -> Soak:
    """Call one container from `start` `count` times in shuffled rounds of `inputs`; then each input cold.

    The first of the inputs ends each round, so that memory is always read in the same state.
    """
    seen = Soak(inputs=inputs)
    last, *others = inputs
    order = random.Random(48)  # noqa: S311 - the same order in every run
    with start() as running:
        running.init()
        rounds = 0
        while seen.calls < count:
            order.shuffle(others)
            for name in others:
                seen.call(running, name, "warm")
            if rounds % FREEZE_EVERY == 0:
                seen.pauses += _paused(running)
            seen.call(running, last, "after a pause" if running.frozen else "warm")
            seen.samples.append(
                Sample(calls=seen.calls, resident=_resident(running), used=running.memory().used)
            )
            rounds += 1
            if rounds % 10 == 1:
                at = seen.samples[-1]
                show(f"{at.calls:>7} calls  {_mib(at.resident)} MiB resident  {_mib(at.used)} MiB used")
    for name in seen.answers:
        with start() as running:
            running.init()
            seen.call(running, name, "cold")
    return seen


def _resident(running: Invoker) -> int:
    """The resident memory of the container's processes, in bytes, as ps(1) counts it."""
    table = running.running.container.top(ps_args="-o pid,rss")
    column = table["Titles"].index("RSS")
    return sum(int(row[column]) for row in table["Processes"]) << 10


def _paused(running: Invoker) -> bool:
    """Whether it could be frozen: on a busy machine the engine sometimes gives up (runc, "unable to freeze")."""
    try:
        running.pause()
    except APIError:
        return False
    return True


def least(start: Callable[[int], Any], names: Sequence[str], works: Callable[[Invoker, str], bool]) -> int:
    """The least memory in MiB with which a container gives all of `names` their right answers, twice.

    One success in three counts: on a busy machine a call may fail for want of anything but memory.
    """

    def enough(mib: int) -> bool:
        with start(mib) as running:
            if not running.init().classified.kept:
                return False
            return all(works(running, name) for name in (*names, *names))

    low, high = LEAST_MIB  # not enough; enough
    while high - low > 1:
        middle = (low + high) // 2
        found = any(_tried(enough, middle) for _ in range(3))
        low, high = (low, middle) if found else (middle, high)
    return high


def _tried(enough: Callable[[int], bool], mib: int) -> bool:
    try:
        return enough(mib)
    except ContainerFailed:
        return False


def _report(seen: Soak) -> str:
    columns = {
        "resident": [sample.resident for sample in seen.settled],
        "used": [sample.used for sample in seen.settled],
    }
    rows = [
        (name, *map(_mib, (values[0], min(values), max(values), values[-1])))
        for name, values in columns.items()
    ]
    head = (f"MiB, after {WARMING}", "first", "min", "max", "last")
    align = ("left", *["right"] * 4)
    table = tabulate(rows, head, tablefmt="simple", colalign=align, disable_numparse=True)
    good = sum('"results"' in answer for answer in seen.answers.values())
    return (
        f"{table}\n"
        f"growth of resident memory, to its greatest: {seen.growth:+.2%}\n"
        f"{seen.calls} calls, {seen.pauses} of them after a pause; {len(seen.answers)} inputs, {good} classified; "
        f"answers that differ: {', '.join(seen.differing) or 'none'}"
    )


def _least(engine: docker.DockerClient, image: str, inputs: Inputs) -> Iterable[tuple[str, int, int]]:
    """For each format, and all of them: how many good photos there are, and the least memory for them."""
    expected: dict[str, str] = {}
    with invoker(engine, image, limits=Limits(memory_mib=512)) as running:
        running.init()
        for name, value in inputs.items():
            activation = running.run(value)
            if activation.classified.status is Status.SUCCESS:
                expected[name] = activation.body

    def start(mib: int) -> Any:
        return invoker(engine, image, limits=Limits(memory_mib=mib))

    def works(running: Invoker, name: str) -> bool:
        return running.run(inputs[name]).body == expected[name]

    groups: dict[str, list[str]] = {}
    for name in expected:
        groups.setdefault(Path(name).suffix, []).append(name)
    for group, names in (*sorted(groups.items()), ("all", list(expected))):
        yield group, len(names), least(start, names, works)


def _mib(count: int) -> str:
    return f"{count / (1 << 20):.2f}"


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help=f"calls; default: {COUNT}")
    parser.add_argument("--memory", type=int, default=256, help="MB of the container; default: 256")
    parser.add_argument("--image", help="default: that of the default model, built if need be")
    parser.add_argument("--least", action="store_true", help="instead, find the least memory that works")
    asked = parser.parse_args()
    pipeline = Pipeline(settings())
    image = asked.image or pipeline.image.id
    inputs = pictures(supply_of(pipeline))
    if asked.least:
        table = [(group, count, mib) for group, count, mib in _least(pipeline.engine, image, inputs)]
        print(tabulate(table, ("good photos", "count", "least MB"), tablefmt="simple"))
        return 0
    seen = soak(
        lambda: invoker(pipeline.engine, image, limits=Limits(memory_mib=asked.memory)),
        {**inputs, **BROKEN},
        asked.count,
        lambda line: print(line, flush=True),
    )
    print(_report(seen))
    return int(seen.growth >= GROWTH or bool(seen.differing))


if __name__ == "__main__":
    sys.exit(main())
