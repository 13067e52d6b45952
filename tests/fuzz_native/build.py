"""Builds the images of the fuzzers and of the leak check, from the product's own stages and sources.

As with the product, what needs a network is a build of its own, and what comes after has none.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cli.console import Step, human_time, step
from cli.pipeline import Pipeline
from images.build import RECIPE, _folder, _mirrored_sources, _proxies
from images.engine import Stage, build_stage
from images.engine import Step as BuildStep
from images.operators import Operator, read_operators

HERE = Path(__file__).parent
_LONG_STEP_S = 5.0

Context = dict[str, bytes | Path]


def build_fuzzers(pipeline: Pipeline, stage: str) -> str:
    """The id of an image with the fuzzers in /fuzz: `jpeg` and `framing`, in the stage "model" also `model`.

    Raises:
        BuildFailed: a step failed.
    """
    models = (HERE / "corpus/model").iterdir()
    operators = {
        o: None for file in models for o in read_operators(file.read_bytes())
    }  # each once, in this order
    with _building(pipeline, "fuzzers") as build:
        sources = build.product("sources", network="host")
        context = build.recipe | _folder("fuzz", HERE) | _operators(operators)
        arguments = {"SOURCES": sources}
        build.stage(context, "fuzz/Dockerfile", "clang", arguments, network="host")
        return build.stage(context, "fuzz/Dockerfile", stage, arguments)


def build_leaks(pipeline: Pipeline, pictures: Mapping[str, bytes | Path]) -> str:
    """The id of an image in which Valgrind can run /fuzz/leaks with the pipeline's model and `pictures`, by name.

    Raises:
        BuildFailed: a step failed.
    """
    model = pipeline.fetch(pipeline.model.name)[0]
    with _building(pipeline, "leaks") as build:
        build.product("sources", network="host")
        compiled = build.product("compile", _operators(read_operators(model.read_bytes())))
        context: Context = {
            **_folder("fuzz", HERE, "leaks.*"),
            "model.tflite": model,
            **{f"pictures/{name}": content for name, content in pictures.items()},
        }
        arguments = {"COMPILED": compiled}
        build.stage(context, "fuzz/leaks.Dockerfile", "valgrind", arguments, network="host")
        return build.stage(context, "fuzz/leaks.Dockerfile", "leaks", arguments)


class _Build:
    """The builds of one image: what they share, and one line of progress for all of them."""

    def __init__(self, pipeline: Pipeline, shown: Step) -> None:
        self._pipeline = pipeline
        self._shown = shown
        self.recipe: Context = {**_folder("recipe", RECIPE)}

    def product(self, target: str, more: Mapping[str, bytes | Path] = {}, *, network: str = "none") -> str:
        """A stage of the product, with the very arguments and files that the product has: from the cache."""
        architecture = self._pipeline.architecture
        folders = [Path(mirror) for mirror in self._pipeline.mirrors if "://" not in mirror]
        context = {
            **self.recipe,
            "mirror/README": b"sources that a mirror had when this was built\n",
            **_mirrored_sources(folders, architecture),
            **more,
        }
        arguments = {
            "BASE": self._pipeline.base.image_id,
            "ARCH": architecture.debian,
            "TRIPLET": architecture.triplet,
            "PROCESSOR": architecture.cmake_processor,
            "REFRESHED": self._pipeline._refreshed(),
        }
        return self.stage(context, "recipe/Dockerfile", target, arguments, network=network)

    def stage(
        self,
        context: Mapping[str, bytes | Path],
        dockerfile: str,
        target: str,
        arguments: Mapping[str, str],
        *,
        network: str = "none",
    ) -> str:
        proxies = _proxies(os.environ) if network != "none" else {}
        stage = Stage(
            dockerfile=dockerfile, target=target, network=network, arguments={**arguments, **proxies}
        )
        return build_stage(self._pipeline.engine, context, stage, self._report)

    def _report(self, at: BuildStep) -> None:
        if at.done and not at.cached and at.elapsed_s >= _LONG_STEP_S:
            self._shown.say(f"{human_time(at.elapsed_s):>12}  {at.instruction[:80]}")
        else:
            self._shown.show(f"{at.number}/{at.total}  {at.line or at.instruction}", at.number, at.total)


@contextmanager
def _building(pipeline: Pipeline, name: str) -> Iterator[_Build]:
    _ = pipeline.engine, pipeline.base  # which have lines of their own
    with step(name) as shown:
        yield _Build(pipeline, shown)
        shown.outcome = "built, or found in the engine's cache"


def _operators(operators: Iterable[Operator]) -> Context:
    """The list for select_operators.py, the same bytes as in the product's build."""
    rows = [{"builtin": o.builtin, "version": o.version, "custom": o.custom} for o in operators]
    return {"operators/operators.json": json.dumps(rows).encode()}
