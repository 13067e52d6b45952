"""Times whole audits beside auditwheel's, with their memory: python -m benchmarks.audit [--runs N] [--json] [NAME…].

NAME is a wheel of tests/wheels.lock, `image` (that of the default model) or `base` (the Debian that it is built on).
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from tabulate import tabulate

from cli.pipeline import ROOT, Pipeline
from cli.tests import AUDITWHEEL, install_auditwheel, settings
from tests.wheels import wheel

RUNS = 3
TENSORFLOW = "tensorflow-cpu"
NAMES = (TENSORFLOW, "onnxruntime", "scipy", "numpy", "ai-edge-litert", "image", "base")
OURS, THEIRS = "under48", "auditwheel"
MB = 1_000_000

# What is promised: of a target, a figure in words, how it is computed, and the most that it may be.
LIMITS: tuple[tuple[str, str, Callable[["Medians"], float], float], ...] = (
    (TENSORFLOW, "seconds", lambda found: found[TENSORFLOW, OURS].wall_s, 15),
    (TENSORFLOW, "MB of memory", lambda found: found[TENSORFLOW, OURS].peak_mb, 600),
    (
        TENSORFLOW,
        "of auditwheel's seconds",
        lambda found: found[TENSORFLOW, OURS].wall_s / found[TENSORFLOW, THEIRS].wall_s,
        1 / 8,
    ),
    ("image", "seconds", lambda found: found["image", OURS].wall_s, 2),
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One process from start to end: wall clock, its processors' time, and the most memory it had resident."""

    wall_s: float
    cpu_s: float
    peak_mb: float


Medians = Mapping[tuple[str, str], Run]


def main(names: Sequence[str], runs: int, *, as_json: bool) -> None:
    """Run every tool on every target in turn, `runs` times, so that what disturbs one disturbs all."""
    commands = dict(_commands(names))
    measured: dict[tuple[str, str], list[Run]] = {key: [] for key in commands}
    for number in range(runs):
        for key, command in commands.items():
            print(f"run {number + 1} of {runs}: {key[1]} on {key[0]}", file=sys.stderr)
            measured[key].append(_run(command))
    medians = {key: _median(several) for key, several in measured.items()}
    kept = [(*row[:2], row[2](medians), row[3]) for row in LIMITS if row[0] in names]
    print(_json(measured, medians, kept) if as_json else _tables(medians, kept, runs))


def _commands(names: Iterable[str]) -> Iterable[tuple[tuple[str, str], list[str]]]:
    pipeline = Pipeline(settings())
    install_auditwheel()
    for name in names:
        if name in ("image", "base"):
            tag = pipeline.image.tag if name == "image" else pipeline.base.reference
            yield (name, OURS), [str(ROOT / "inv"), "audit", tag]
        else:
            path = str(wheel(name))
            yield (name, OURS), [str(ROOT / "inv"), "audit", path]
            yield (name, THEIRS), [str(AUDITWHEEL / "bin/auditwheel"), "show", "--ldpaths", "", path]


# Runs a command and prints its exit code, seconds, seconds of processor, and most KiB resident. The kernel counts what
# is resident in the process that starts another as that other's, too (getrusage(2), ru_maxrss): so this one is small.
_MEASURED = """
import os, sys, time
began = time.perf_counter()
silent = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
_, status, usage = os.wait4(child, 0)
elapsed = time.perf_counter() - began
print(os.waitstatus_to_exitcode(status), elapsed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


def _run(command: Sequence[str]) -> Run:
    """Run one command to its end."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _MEASURED, *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    code, elapsed_s, cpu_s, most_kib = map(float, done.stdout.split())
    if code not in (0, 1):  # 1 tells of findings
        raise SystemExit(f"{' '.join(command)} ended with {code:.0f}:\n{done.stderr}")
    return Run(wall_s=elapsed_s, cpu_s=cpu_s, peak_mb=most_kib * 1024 / MB)


def _median(runs: Sequence[Run]) -> Run:
    rows = [asdict(run) for run in runs]
    return Run(**{figure: statistics.median(row[figure] for row in rows) for figure in rows[0]})


Kept = Sequence[tuple[str, str, float, float]]


def _tables(medians: Medians, kept: Kept, runs: int) -> str:
    rows = []
    for (name, tool), run in medians.items():
        theirs = medians.get((name, THEIRS))
        faster = f"{theirs.wall_s / run.wall_s:.1f}" if theirs is not None and tool == OURS else ""
        rows.append((name, tool, f"{run.wall_s:.2f}", f"{run.cpu_s:.2f}", f"{run.peak_mb:.0f}", faster))
    headers = ("target", "tool", "seconds", "of processor", "MB", "times faster")
    table = tabulate(
        rows,
        headers,
        tablefmt="simple",
        colalign=("left", "left", *["right"] * 4),
        disable_numparse=True,
    )
    lines = [
        f"{'kept' if found <= most else 'MISSED'}: {name}, {figure}: {found:.3g}, at most {most:g}"
        for name, figure, found, most in kept
    ]
    note = f"medians of {runs} runs of whole commands, `./inv audit TARGET` and `auditwheel show WHEEL`"
    return "\n".join([table, "", note, *lines])


def _json(measured: Mapping[tuple[str, str], Sequence[Run]], medians: Medians, kept: Kept) -> str:
    return json.dumps(
        {
            "rows": [
                {
                    "target": name,
                    "tool": tool,
                    "median": asdict(medians[name, tool]),
                    "runs": list(map(asdict, runs)),
                }
                for (name, tool), runs in measured.items()
            ],
            "limits": [
                {"target": name, "figure": figure, "found": found, "most": most, "kept": found <= most}
                for name, figure, found, most in kept
            ],
        },
        indent=2,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__.partition(":")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=NAMES)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    main(options.names, options.runs, as_json=options.json)
