"""Looks for leaks and stray reads in the library as it is shipped: python -m tests.fuzz_native.leaks

Valgrind runs leaks.c: pictures that are good and bad, many openings, files that are no model. The exit code is 1 when
anything is lost or read that should not be.
"""

import argparse
import re
import sys
from dataclasses import dataclass

from cli.failures import reported
from cli.pipeline import Pipeline
from cli.tests import settings
from tests.fuzz_native.build import HERE, build_leaks

CLASSIFICATIONS, OPENINGS = 200, 50
# Where chroma is sampled 1:1 across and 2:1 down, libjpeg leaves the padding of its rows unwritten, and converts it
# along with the last column, whose green Valgrind then takes for uninitialised, too. That no pixel depends on it was
# tried with --malloc-fill=00, 80 and ff.
_BLURRED = ("baseline-440.jpg", "baseline-odd-factors.jpg")
_VALGRIND = (
    "valgrind",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect,possible",
    "--errors-for-leak-kinds=definite,indirect,possible",
    "--suppressions=/fuzz/leaks.supp",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What Valgrind says at the end; losses in bytes."""

    text: str
    errors: int
    lost: int  # definitely, indirectly and possibly


def parse(text: str) -> Memory:
    """Read Valgrind's summary, of which nothing may be missing: without blocks in use it lists no losses."""
    errors = re.search(r"ERROR SUMMARY: ([\d,]+) errors", text)
    losses = re.findall(r"(?:definitely|indirectly|possibly) lost: ([\d,]+) bytes", text)
    if not errors or not (losses or "no leaks are possible" in text):
        raise ValueError(f"Valgrind has not come to its end:\n{text}")
    return Memory(text=text, errors=_number(errors[1]), lost=sum(map(_number, losses)))


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def checked(pipeline: Pipeline, *, classifications: int, openings: int) -> Memory:
    """Run the program under Valgrind, in a container without a network."""
    files = sorted((HERE / "corpus/jpeg").iterdir())
    pictures = {file.name: file for file in files if file.name not in _BLURRED}
    image = build_leaks(pipeline, pictures)
    program = ["/fuzz/leaks", "/fuzz/model.tflite", str(openings), str(classifications)]
    names = [f"/fuzz/pictures/{name}" for name in pictures]
    container = pipeline.engine.containers.create(
        image, ["nice", *_VALGRIND, *program, *names], network_mode="none"
    )
    try:
        container.start()
        container.wait()
        return parse(container.logs().decode("utf-8", "replace"))
    finally:
        container.remove(force=True, v=True)


@reported
def main(words: list[str]) -> None:
    """Run it, and show what Valgrind says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_native.leaks", description=__doc__)
    parser.add_argument("--classifications", type=int, default=CLASSIFICATIONS)
    parser.add_argument("--openings", type=int, default=OPENINGS)
    asked = parser.parse_args(words)
    found = checked(Pipeline(settings()), classifications=asked.classifications, openings=asked.openings)
    print(found.text)
    sys.exit(int(bool(found.errors or found.lost)))


if __name__ == "__main__":
    main(sys.argv[1:])
