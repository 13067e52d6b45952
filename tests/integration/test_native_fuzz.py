"""What fuzzing is made of and has found: under the sanitizers, under Valgrind, and in the image itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from cli.pipeline import Pipeline
from images.activation import Status
from images.build import Image
from images.invoker import Invoker
from tests.fuzz_native.build import HERE, build_fuzzers
from tests.fuzz_native.fuzzer import replayed, seeds
from tests.fuzz_native.leaks import checked
from tests.integration.inside import Initialized, encoded, source

pytestmark = pytest.mark.engine

BAD_MODEL = 2  # u48_status

# A bit of the default model by which XNNPACK aborted the process: an operator's input becomes a tensor made after it.
FLIPPED = {"model": "tf2_mobilenet_v2_1.0_224_ptq", "flipped": 3549209, "bit": 0x40}


@pytest.fixture(scope="module")
def fuzzers(pipeline: Pipeline) -> str:
    return build_fuzzers(pipeline, "jpeg")


def test_the_decoder_stands_its_corpus_under_the_sanitizers(
    engine: docker.DockerClient, fuzzers: str, photos: dict[str, Path]
) -> None:
    assert replayed(engine, fuzzers, "jpeg", [*seeds("jpeg"), *photos.values()]) == ""


def test_the_library_loses_no_memory_and_reads_none_that_it_has_not_written(pipeline: Pipeline) -> None:
    found = checked(pipeline, classifications=len(seeds("jpeg")), openings=3)
    assert (found.lost, found.errors) == (0, 0), found.text


@pytest.fixture(scope="module")
def loader(image: Image, initialized: Initialized) -> Iterator[Invoker]:
    with initialized(image.id, code=source("models")) as running:
        yield running


def _opened(loader: Invoker, **arguments: Any) -> dict[str, Any]:
    activation = loader.run(arguments)
    assert activation.classified.status is Status.SUCCESS, activation
    result: dict[str, Any] = activation.classified.result
    return result


@pytest.mark.parametrize("model", ["v2-float32", "v2-int8", "v2-uint8"])
def test_a_model_that_the_fuzzer_starts_from_is_a_good_one(loader: Invoker, model: str) -> None:
    assert _opened(loader, model=encoded(HERE / f"corpus/model/{model}.tflite")) == {"status": 0, "scores": 5}


@pytest.mark.parametrize("file", seeds("model"), ids=lambda file: file.name)
def test_a_model_that_crashed_the_loader_is_answered(loader: Invoker, file: Path) -> None:
    result = _opened(loader, model=encoded(file))
    assert result["status"] == 0 or len(result["text"]) > 20
    loader.running.check()


def test_a_model_with_a_bit_flipped_is_refused_where_it_made_xnnpack_abort(
    pipeline: Pipeline, loader: Invoker
) -> None:
    assert pipeline.model.name == FLIPPED["model"]
    result = _opened(loader, flipped=FLIPPED["flipped"], bit=FLIPPED["bit"])
    assert result["status"] == BAD_MODEL
    assert "takes a tensor that is not there yet" in result["text"]


@pytest.fixture(scope="module")
def cutter(image: Image, initialized: Initialized) -> Iterator[Invoker]:
    with initialized(image.id, code=source("cuts")) as running:
        yield running


# What a file may lack: the two bytes of its end marker, where Huffman codes say by themselves that they are complete.
ENDS = {
    "baseline-420": [1, 2],
    "cmyk": [1, 2],
    "progressive-420": [1, 2],
    "restart": [1, 2],
    "arithmetic": [],
}


KINDS = [file.stem for file in seeds("jpeg")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("crop", [1, 0.5])
def test_a_file_cut_short_is_refused_or_the_same_picture(cutter: Invoker, kind: str, crop: float) -> None:
    cut = _cut(cutter, kind, crop, end="")
    assert cut["whole"] is (kind not in ("half", "progressive-half"))
    assert cut["wrong"] == []
    if kind in ENDS:
        assert cut["taken"] == ENDS[kind]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("arithmetic")])
@pytest.mark.parametrize("end", ["ffd9", "ffd8", "ffd0ffd9"])
def test_a_marker_in_place_of_what_is_missing_makes_no_picture_of_it(
    cutter: Invoker, kind: str, end: str
) -> None:
    assert _cut(cutter, kind, 0.875, end)["wrong"] == []


def _cut(cutter: Invoker, kind: str, crop: float, end: str) -> dict[str, Any]:
    file = HERE / f"corpus/jpeg/{kind}.jpg"
    activation = cutter.run({"image": encoded(file), "crop": crop, "end": end})
    assert activation.classified.status is Status.SUCCESS, activation
    result: dict[str, Any] = activation.classified.result
    return result
