"""Compares the catalogued models, to choose the default one: python -m benchmarks.models [RUNS]."""

import base64
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tabulate import tabulate

from cli.pipeline import Pipeline
from cli.supply import supply_of
from cli.tests import settings, tflite_models
from images.invoker import Invoker, invoker
from model_fetch import Catalog, Sample

RUNS = 50
PAUSE_S = 0.02  # a library's threads spin for a moment after a call, and would slow the next container's
THREADS = (1, 2)

# Per cent of 1000 ImageNet validation photos, squashed to the model's size, top-1 and top-5: measured once, elsewhere.
# Nothing is known of the others; an 87.5 % centre crop, which all models here get, raises every one of these.
ACCURACY = {
    "mobilenet_v1_0.25_224": (51.2, 76.8),
    "mobilenet_v1_0.75_192_quant": (71.6, 90.2),
    "mobilenet_v2_1.0_224_quant_logits": (82.5, 95.2),
    "tf2_mobilenet_v2_1.0_224_ptq": (84.0, 96.7),
}


def main(runs: int) -> None:
    """Measure all models in turn, one run of each at a time, so that what disturbs one disturbs all.

    Models and photos that cannot be had are left out.
    """
    first = Pipeline(settings())
    supply = supply_of(first)
    names = [name for name in tflite_models(first) if supply.find(first.catalog.model(name))]
    code = Path(__file__).with_name("inference.py").read_text()
    files = {sample.name: supply.find(sample) for sample in first.catalog.samples}
    photos = {name: _encoded(found[0]) for name, found in files.items() if found}
    with ExitStack() as containers:
        started: dict[tuple[str, int], Invoker] = {}
        for name in names:
            tag = Pipeline({**settings(), "model": name}).image.tag
            for threads in THREADS:
                environment = {"UNDER48_THREADS": str(threads)}
                running = containers.enter_context(invoker(first.engine, tag, environment=environment))
                running.init(code=code)
                started[name, threads] = running
        accepted = {name: _accepted(started[name, 1], photos, first.catalog) for name in names}
        times = _interleaved(started, photos["panda.jpg"], runs)
    print(_table(names, first.catalog, accepted, times))
    print(
        f"\nms: medians of {runs} runs on panda.jpg; photos: of {len(photos)}, those taken for what they show"
    )


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _call(running: Invoker, photo: str) -> dict[str, Any]:
    result: dict[str, Any] = running.run({"image": photo}).classified.result
    return result


def _accepted(running: Invoker, photos: Mapping[str, str], catalog: Catalog) -> list[Sample]:
    samples = [catalog.sample(name) for name in photos]
    return [s for s in samples if _call(running, photos[s.name])["className"] in s.accepted]


def _interleaved(
    started: Mapping[tuple[str, int], Invoker], photo: str, runs: int
) -> dict[tuple[str, int], list[float]]:
    times: dict[tuple[str, int], list[float]] = {key: [] for key in started}
    for _ in range(runs):
        for key, running in started.items():
            times[key].append(_call(running, photo)["ms"])
            time.sleep(PAUSE_S)
    return times


def _table(
    names: Sequence[str],
    catalog: Catalog,
    accepted: Mapping[str, Sequence[Sample]],
    times: Mapping[tuple[str, int], Sequence[float]],
) -> str:
    rows = [
        (
            name,
            f"{catalog.model(name).files[0].bytes:,}",
            *([f"{share:.1f}" for share in ACCURACY[name]] if name in ACCURACY else "--"),
            *(f"{statistics.median(times[name, threads]):.2f}" for threads in THREADS),
            len(accepted[name]),
        )
        for name in names
    ]
    headers = ("model", "bytes", "top-1 %", "top-5 %", *(f"ms, threads: {n}" for n in THREADS), "photos")
    return tabulate(
        rows, headers, tablefmt="simple", colalign=("left", *["right"] * 6), disable_numparse=True
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
