"""Audits hostile inputs in a child process that may take 1 GiB of memory, and a minute of processor time for each.

As a command it is the child: `python -m tests.fuzz.confined MODULE:FUNCTION JSON-ARGUMENTS` runs what the function
yields. What it prints is for `run` alone.
"""

import contextlib
import importlib
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import audit
from cli.audits import FORMATS, Output, tell
from errors import Under48Error

ROOT = Path(__file__).parents[2]
MEMORY_BYTES = 1 << 30
CPU_SECONDS = 60
# A child that waits, and so takes no processor time, is stopped as well.
WAIT_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Case:
    """One hostile input: `make` writes it into an empty folder and gives the path to audit, or audits by itself."""

    name: str
    make: Callable[[Path], Path | None]
    runtime: Callable[[Path], Path | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a case: `rules` of its findings, or the `error` in words, or a `fault` of the auditor.

    `seconds` are processor time; `peak` is the memory that the process has taken so far, in bytes.
    """

    name: str
    rules: tuple[str, ...] = ()
    error: str = ""
    fault: str = ""
    seconds: float = 0.0
    peak: int = 0
    sample: str = field(default="", compare=False)


def run(batch: str, *arguments: object, keep: Path | None = None) -> list[Outcome]:
    """Run the cases that `batch` (MODULE:FUNCTION) yields for these arguments, in a child process.

    What makes the auditor fail is copied into the folder `keep`.
    """
    command = [sys.executable, "-m", "tests.fuzz.confined", batch, json.dumps(arguments), str(keep or "")]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS
        )
        status, said, errors = str(done.returncode), done.stdout, done.stderr
    except subprocess.TimeoutExpired as expired:
        status, errors = f"stopped after {WAIT_SECONDS} s", ""
        said = expired.stdout.decode() if isinstance(expired.stdout, bytes) else expired.stdout or ""
    outcomes: list[Outcome] = []
    begun = ""
    for line in said.splitlines():
        document = json.loads(line)
        begun = document.get("begun", "")
        if not begun:
            outcomes.append(Outcome(**{**document, "rules": tuple(document["rules"])}))
    if status != "0":
        reason = {f"-{signal.SIGPROF}": f"more than {CPU_SECONDS} s of processor time"}.get(status, status)
        outcomes.append(
            Outcome(name=begun or batch, fault=f"the process ended with {reason}: {errors[-2000:]}")
        )
    return outcomes


def audited(path: Path, runtime: Path | None = None) -> tuple[str, ...]:
    """Judge a target by all rules, tell it in every format, and give the keys of the rules that found something.

    Raises:
        Under48Error: it is refused, in words.
    """
    seen_from = audit.read(runtime) if runtime is not None else None
    judged = audit.judge(audit.analyse(audit.read(path), runtime=seen_from))
    with tempfile.TemporaryDirectory() as scratch:
        saved = Path(scratch, "baseline.json")
        tell([judged], Output(html=f"{scratch}/page.html", save_baseline=str(saved)))
        baseline = audit.read_baseline(saved.read_text(), saved.name)
        for form in FORMATS:
            text = tell([judged], Output(form=form, baseline=baseline, verbose=True))
            text.encode()  # a lone surrogate would fail when it is printed
    return tuple(sorted({finding.rule for finding in judged.findings}))


def _outcome(case: Case, keep: Path | None) -> Outcome:
    rules: tuple[str, ...] = ()
    error = fault = ""
    started = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path: Path | None = None
        try:
            path = case.make(folder)
            runtime = case.runtime(folder) if case.runtime is not None else None
            rules = audited(path, runtime) if path is not None else ()
        except Under48Error as refused:
            error = f"{type(refused).__name__}: {refused}"
        except Exception:  # noqa: BLE001 - every other exception is what is looked for
            fault = traceback.format_exc()
            if keep is not None and path is not None and path.is_file():
                keep.mkdir(parents=True, exist_ok=True)
                (keep / case.name.replace("/", "-")).write_bytes(path.read_bytes())
    signal.setitimer(signal.ITIMER_PROF, 0)
    return Outcome(
        name=case.name,
        rules=rules,
        error=error,
        fault=fault,
        seconds=time.process_time() - started,
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def faulty(how: str) -> Iterator[Case]:
    """Give a case that fails as the auditor must not: proof that it would be seen."""

    def make(_: Path) -> None:
        match how:
            case "raise":
                print(1 // 0)
            case "fill":
                bytearray(2 * MEMORY_BYTES)
            case "exit":
                os._exit(3)

    yield Case(how, make)


def main(argv: Sequence[str]) -> int:
    """Run a batch under the limits, and print a line before and after each case."""
    batch, arguments, keep = argv
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    module, _, function = batch.partition(":")
    cases: Iterator[Case] = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    out = io.TextIOWrapper(os.fdopen(os.dup(1), "wb", 0), write_through=True)
    with contextlib.redirect_stdout(sys.stderr):
        for case in cases:
            print(json.dumps({"begun": case.name}), file=out)
            print(json.dumps(asdict(_outcome(case, Path(keep) if keep else None))), file=out)
    return 0


if __name__ == "__main__":
    random.seed(0)
    sys.exit(main(sys.argv[1:]))
