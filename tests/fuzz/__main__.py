"""Fuzzes the parsers of the auditor, guided by coverage: `python -m tests.fuzz [TARGET…] [--seconds N]`.

atheris lives in an environment of its own, build/fuzz/venv, made from requirements.lock when it is stale. Inputs that
reach new code are kept in build/fuzz/corpus and used again; those that fail, in build/fuzz/found, and the exit code is
1. What was found and mended is kept in tests/fuzz/found, one folder for each target, and tested from there.
"""

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

from cli.tests import NotReady, install, make_environment
from tests.fuzz.targets import TARGETS, seeds

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDER = ROOT / "build" / "fuzz"
ENVIRONMENT = FOLDER / "venv"  # atheris is for CPython 3.11 to 3.13
LOCK = HERE / "requirements.lock"
# Memory is in MiB, times are in seconds; an input that exceeds either is a finding, as an exception is.
LIMITS = ("-rss_limit_mb=1024", "-timeout=60", "-max_len=65536")


def fuzz(python: Path, target: str, seconds: int) -> int:
    """Fuzz one target for so long; give libFuzzer's exit code."""
    corpus, start, found = (FOLDER / name / target for name in ("corpus", "seeds", "found"))
    for folder in (corpus, start, found):
        folder.mkdir(parents=True, exist_ok=True)
    for content in seeds(target):
        (start / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
    command = [str(python), "-m", "tests.fuzz.harness", target, *LIMITS, f"-max_total_time={seconds}"]
    return subprocess.run(
        [*command, "-print_final_stats=1", f"-artifact_prefix={found}/", str(corpus), str(start)],
        cwd=ROOT,
        check=False,
    ).returncode


def main() -> int:
    """Fuzz the targets named, all where none is."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET", help=", ".join(TARGETS)
    )
    parser.add_argument("--seconds", type=int, default=120, help="for each target (120)")
    options = parser.parse_args()
    try:
        install("fuzz", LOCK, ENVIRONMENT, make=make_environment)
    except NotReady as error:
        parser.exit(error.exit_code, f"{error}\n")
    python = ENVIRONMENT / "bin" / "python"
    failed = [name for name in options.targets or TARGETS if fuzz(python, name, options.seconds)]
    print(f"failed: {', '.join(failed)}; see {FOLDER / 'found'}" if failed else "no target failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
