"""Times warm and cold calls of the default image, as the platform sees them: python -m benchmarks.calls [RUNS]."""

import argparse
import base64
import statistics
from collections.abc import Sequence

from tabulate import tabulate

from cli.pipeline import Pipeline
from cli.tests import settings
from images.invoker import ColdStart, invoker

RUNS = 50
PHOTO = "panda.jpg"


def main(runs: int) -> None:
    """Call one container `runs` times, then start as many new ones."""
    pipeline = Pipeline(settings())
    tag = pipeline.image.tag
    value = {"image": base64.b64encode(pipeline.fetch(PHOTO)[0].read_bytes()).decode()}
    with invoker(pipeline.engine, tag) as running:
        running.init()
        running.run(value)
        warm = [running.run(value).elapsed_ms for _ in range(runs)]
        memory = running.memory()
    cold = [_cold(pipeline, tag, value) for _ in range(runs)]
    rows = [
        _row("warm: /run", warm),
        _row("cold: all", [start.total_ms for start in cold]),
        _row("  docker run", [start.start_ms for start in cold]),
        _row("  /init, with the wait for the server", [start.init_ms for start in cold]),
        _row("  first /run", [start.run_ms for start in cold]),
    ]
    print(f"{tag}, {PHOTO}, {runs} calls each; memory after the warm ones {memory.used / (1 << 20):.1f} MiB")
    print(
        tabulate(
            rows,
            ("ms", "median", "fastest", "9 of 10 within"),
            tablefmt="simple",
            colalign=("left", *["right"] * 3),
            disable_numparse=True,
        )
    )


def _cold(pipeline: Pipeline, tag: str, value: dict[str, str]) -> ColdStart:
    with invoker(pipeline.engine, tag) as running:
        running.init()
        running.run(value)
        cold = running.cold
    if cold is None:
        raise SystemExit("the image did not answer: `./inv verify` says why")
    return cold


def _row(name: str, times: Sequence[float]) -> tuple[str, str, str, str]:
    ninth = statistics.quantiles(times, n=10)[-1]
    return name, f"{statistics.median(times):.1f}", f"{min(times):.1f}", f"{ninth:.1f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    parser.add_argument("runs", type=int, nargs="?", default=RUNS, help=f"warm, and cold; default: {RUNS}")
    main(parser.parse_args().runs)
