"""Photos through the image: every catalogued one, one photo in every encoding, and files that are hardly pictures."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.pipeline import ROOT, Pipeline
from images.activation import Status
from images.build import Image
from images.invoker import Activation, Invoker
from images.verify import Verdict
from model_fetch import load_catalog
from tests.integration.inside import Initialized, encoded

pytestmark = pytest.mark.engine

PHOTOS = [sample.name for sample in load_catalog().samples]

# The photos that a model takes for something else, and for what: facts about the models, which a build must not change.
MISSES = {
    "tf2_mobilenet_v2_1.0_224_ptq": {"grace_hopper.jpg": "mortarboard"},
    "mobilenet_v2_1.0_224_quant": {},
}

SHARED = ROOT.parent / "shared"
PANDA = "giant panda, panda, panda bear, coon bear, Ailuropoda melanoleuca"


def _pictures() -> list[str]:
    """The picture files that are no part of the project; none where they are not there."""
    folders = (SHARED / "samples/variants", SHARED / "odd-images")
    files = (file for folder in folders if folder.is_dir() for file in sorted(folder.iterdir()))
    return [str(file.relative_to(SHARED)) for file in files]


@pytest.fixture(scope="module")
def verdicts(pipeline: Pipeline) -> dict[str, Verdict]:
    return {verdict.photo: verdict for verdict in pipeline.verify(pipeline.photos(PHOTOS), 1)}


@pytest.mark.parametrize("photo", PHOTOS)
def test_a_catalogued_photo_is_taken_for_what_it_shows(
    pipeline: Pipeline, verdicts: dict[str, Verdict], photo: str
) -> None:
    verdict, missed = verdicts[photo], MISSES[pipeline.model.name].get(photo)
    best = verdict.top[0]
    assert best.probability > verdict.top[1].probability
    assert 0 < best.probability <= 1
    if missed:
        assert best.class_name == missed
        assert verdict.problem.startswith("not what it shows")
    else:
        assert verdict.problem == ""
        assert best.class_name in pipeline.catalog.sample(photo).accepted


def test_the_first_activation_logs_memory_and_time_of_every_stage(verdicts: dict[str, Verdict]) -> None:
    said = [line.split()[:2] for line in verdicts["panda.jpg"].log]
    stages = ("loadModel", "decode", "input", "classify", "main")
    assert said == [[what, stage] for stage in stages for what in ("elapsed", "memory")]


@pytest.fixture(scope="module")
def container(image: Image, initialized: Initialized) -> Iterator[Invoker]:
    with initialized(image.tag) as running:
        yield running


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, str]:
    """What is to be expected of a file, as the list of the files says."""
    with (shared / "MANIFEST.tsv").open(newline="") as file:
        return {row["file"]: row["expected"] for row in csv.DictReader(file, delimiter="\t")}


def _best(activation: Activation) -> str:
    return str(activation.classified.result["results"][0]["className"])


@pytest.mark.parametrize("name", _pictures())
def test_any_file_gets_classes_or_an_error_and_the_container_stays(
    container: Invoker, photos: dict[str, Path], shared: Path, expected: dict[str, str], name: str
) -> None:
    activation = container.run({"image": encoded(shared / name)})
    assert activation.status_code == 200
    assert activation.classified.kept
    result = activation.classified.result
    if expected[name].startswith("giant panda"):
        assert _best(activation) == PANDA
    elif activation.classified.status is Status.SUCCESS:
        assert len(result["results"]) == 5
        assert not expected[name].startswith("reject")
    else:
        assert len(result["error"]) > 20  # a sentence
        assert not expected[name].startswith("decodes")
    container.running.check()
    assert _best(container.run({"image": encoded(photos["panda.jpg"])})) == PANDA
