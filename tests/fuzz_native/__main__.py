"""Fuzzes the native library with sanitizers: python -m tests.fuzz_native TARGET [--minutes N] [FILE…]

TARGET is `jpeg` (the decoder), `framing` (crop, resize, turn) or `model` (the loader, and one inference of what it
opens). With FILEs it only replays them. The first build takes minutes, for `model` a quarter of an hour.

Inputs that reach new code are kept in build/fuzz_native/TARGET/corpus and used again; those that fail, in …/found, and
the exit code is 1. What was found and mended is kept in tests/fuzz_native/found, where a test replays it.
"""

import argparse
import sys
from pathlib import Path

from cli.failures import reported
from cli.pipeline import ROOT, Pipeline
from cli.tests import settings
from tests.fuzz_native.build import build_fuzzers
from tests.fuzz_native.fuzzer import OPTIONS, fuzzed, replayed, seeds

OUTPUT = ROOT / "build/fuzz_native"


@reported
def main(words: list[str]) -> None:
    """Fuzz or replay."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_native", description=__doc__)
    parser.add_argument("target", choices=OPTIONS)
    parser.add_argument("files", nargs="*", type=Path, help="only run these, once each")
    parser.add_argument("--minutes", type=float, default=10)
    asked = parser.parse_args(words)
    pipeline = Pipeline(settings())
    image = build_fuzzers(pipeline, "model" if asked.target == "model" else "jpeg")
    if asked.files:
        failed = replayed(pipeline.engine, image, asked.target, asked.files)
        print(failed or f"{len(asked.files)} files, none fails")
        sys.exit(int(bool(failed)))
    kept, found = OUTPUT / asked.target / "corpus", OUTPUT / asked.target / "found"
    inputs = [*seeds(asked.target), *kept.glob("*")]
    result = fuzzed(pipeline.engine, image, asked.target, inputs, seconds=round(asked.minutes * 60))
    for folder, files in ((kept, result.corpus), (found, result.found)):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    for name in result.found:
        print(f"to replay: python -m tests.fuzz_native {asked.target} {(found / name).relative_to(ROOT)}")
    print(f"{result.executions} executions, {len(result.corpus)} inputs kept, {len(result.found)} findings")
    sys.exit(int(bool(result.found)))


if __name__ == "__main__":
    main(sys.argv[1:])
